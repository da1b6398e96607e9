/** Progress goes to standard error, so that standard output has the table alone. */
export function log(message) {
  process.stderr.write(`${message}\n`);
}

/** Rewrites the current line of a terminal; elsewhere it says nothing. */
export function logInPlace(message) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${message}`);
}
