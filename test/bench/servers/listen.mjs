/** Where the reference servers listen: a free port of the loopback. */
export const ADDRESS = { port: 0, host: '127.0.0.1' };

/** Says where a server listens, in the words of the application, and ends the process on SIGTERM. */
export function announce(server) {
  process.once('SIGTERM', () => process.exit(0));
  console.log(`listens on http://${ADDRESS.host}:${server.address().port}`);
}
