/** Stops what the setup started. */
export default async function globalTeardown(): Promise<void> {
  for (const stop of globalThis.stopTestServices ?? []) await stop();
}
