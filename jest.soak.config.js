// One suite that watches one process for minutes (SOAK_MINUTES), and says each minute what it sees.
const config = require('./jest.faults.config.js');

/** @type {import('jest').Config} */
module.exports = { ...config, testRegex: 'test/soak/.*\\.soak-spec\\.ts$' };
