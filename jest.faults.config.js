// Suites that break what the service stands on: each has servers and processes of its own, one suite at a time.
const config = require('./jest.config.js');

/** @type {import('jest').Config} */
module.exports = {
  ...config,
  testRegex: 'test/faults/.*\\.fault-spec\\.ts$',
  maxWorkers: 1,
  testTimeout: 300_000,
  globalSetup: '<rootDir>/test/faults/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/faults/support/global-teardown.ts',
};
