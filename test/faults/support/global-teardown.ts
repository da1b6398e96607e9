import stopServices from '../../support/global-teardown';
import { report } from './measurements';

/** Stops the services, and tells what was seen. */
export default async function globalTeardown(): Promise<void> {
  process.stdout.write(`\n${report()}`);
  await stopServices();
}
