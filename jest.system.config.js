// Suites that need programs beside Node, PostgreSQL and Redis: Debian's nginx, Chromium. They install what is missing
// where they run as root on Debian.
const config = require('./jest.config.js');

/** @type {import('jest').Config} */
module.exports = { ...config, testRegex: 'test/system/.*\\.system-spec\\.ts$', testTimeout: 120_000 };
