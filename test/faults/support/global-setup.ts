import setUpServices from '../../support/global-setup';
import { openMeasurements } from './measurements';

/** The services of every test run, and a place for what the fault suites see. */
export default async function globalSetup(): Promise<void> {
  await setUpServices();
  openMeasurements();
}
