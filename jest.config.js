// TypeScript and the ES modules of node_modules are both compiled by swc: Jest cannot require ES modules below Node 24.9.
const fs = require('node:fs');
const path = require('node:path');

const lock = JSON.parse(fs.readFileSync(path.join(__dirname, 'node_modules/.package-lock.json'), 'utf8')).packages;
const isEsModule = (folder) => {
  try {
    return JSON.parse(fs.readFileSync(path.join(__dirname, folder, 'package.json'), 'utf8')).type === 'module';
  } catch {
    return false;
  }
};
const esModules = Object.keys(lock).filter(isEsModule);
const swc = (parser, extra = {}) => [
  '@swc/jest',
  { swcrc: false, sourceMaps: 'inline', module: { type: 'commonjs' }, jsc: { target: 'es2022', parser, ...extra } },
];

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  // Suites mostly wait for databases and processes: as many at once as there are cores.
  maxWorkers: '100%',
  // Milliseconds: some tests start several processes, on whatever machine. Nothing waits this long when all is well.
  testTimeout: 60_000,
  moduleFileExtensions: ['js', 'mjs', 'cjs', 'json', 'ts'],
  testRegex: '.*\\.(e2e-)?spec\\.ts$',
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  transform: {
    '^.+\\.ts$': swc(
      { syntax: 'typescript', decorators: true },
      { transform: { legacyDecorator: true, decoratorMetadata: true }, keepClassNames: true },
    ),
    '/node_modules/.+\\.m?js$': swc({ syntax: 'ecmascript' }),
  },
  transformIgnorePatterns: [`^${__dirname}/(?!(?:${esModules.join('|')})/(?!node_modules/))node_modules/`],
  moduleNameMapper: { '^@app/([^/]+)$': '<rootDir>/libs/$1/src' },
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  collectCoverageFrom: ['apps/**/*.ts', 'libs/**/*.ts', '!**/*.spec.ts', '!**/index.ts'],
  coverageDirectory: 'coverage',
  coverageReporters: ['text', 'lcov'],
};
