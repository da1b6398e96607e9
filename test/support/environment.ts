/** Where the services of this test run are; `global-setup.ts` says it, through the environment, to Jest's workers. */
export interface TestEnvironment {
  /** A server on which databases may be created. */
  postgresUrl: string;
  /** A migrated, empty database to clone. */
  template: string;
  redisUrl: string;
}

const VARIABLE = 'EVENTDECK_TEST_ENVIRONMENT';

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
