import { Cleanup } from './cleanup.mjs';
import { OptionError } from './options.mjs';
import { killAll } from './processes.mjs';

/** Exit codes of a process that a signal ended (POSIX: 128 and the number of the signal). */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

/**
 * Runs a program that leaves nothing behind, however it ends.
 *
 * @param main takes the arguments and a `Cleanup`, and returns the exit code
 */
export function runMain(main) {
  const cleanup = new Cleanup();
  const end = async (code) => {
    killAll();
    await cleanup.run();
    process.exit(code);
  };
  for (const [signal, code] of Object.entries(SIGNALS)) process.once(signal, () => void end(code));
  main(process.argv.slice(2), cleanup).then(end, (error) => {
    const isExpected = error instanceof OptionError;
    console.error(isExpected ? `${error.message}\n--help tells the options.` : error);
    return end(isExpected ? 2 : 1);
  });
}
