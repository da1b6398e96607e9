/** Where the services of this test run are; `global-setup.ts` says it, through the environment, to Jest's workers. */
export interface TestEnvironment {
  /** A server on which databases may be created. */
  postgresUrl: string;
  /** A migrated, empty database to clone. */
  template: string;
  redisUrl: string;
}

const VARIABLE = 'EVENTDECK_TEST_ENVIRONMENT';
const MEASUREMENTS = 'EVENTDECK_FAULTS_MEASUREMENTS';

export function publishEnvironment(environment: TestEnvironment): void {
  process.env[VARIABLE] = JSON.stringify(environment);
}

export function testEnvironment(): TestEnvironment {
  const published = process.env[VARIABLE];
  if (!published) throw new Error('the test run has no services: start it through Jest');
  return JSON.parse(published) as TestEnvironment;
}

/** The seed of the requests that the fault suites make: `FAULTS_SEED`, to repeat a run or to try another one. */
export function faultsSeed(): number {
  const seed = Number(process.env.FAULTS_SEED ?? 20_260_131);
  if (!Number.isInteger(seed)) throw new Error('FAULTS_SEED must be an integer');
  return seed;
}

/** How long the soak lasts: `SOAK_MINUTES`, 1 to 1,440, 10 unless told otherwise. */
export function soakMinutes(): number {
  const minutes = Number(process.env.SOAK_MINUTES ?? 10);
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > 1440) {
    throw new Error('SOAK_MINUTES must be an integer from 1 to 1440');
  }
  return minutes;
}

/** Says where the tests of this run leave what they measured. */
export function publishMeasurementsFile(file: string): void {
  process.env[MEASUREMENTS] = file;
}

/** The file for what the tests of a run measured; only the fault suites have one. */
export function measurementsFile(): string {
  const file = process.env[MEASUREMENTS];
  if (!file) throw new Error('the test run collects no measurements: start it through jest.faults.config.js');
  return file;
}
