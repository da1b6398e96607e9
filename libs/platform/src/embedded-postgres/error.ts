/**
 * A failure of the embedded PostgreSQL that an operator can act on: the first line of the message is one clear
 * sentence, the lines after it, if any, are the end of PostgreSQL's own output.
 */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
}

const TAIL_LINES = 8;

const reasons: Record<string, string> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EEXIST: 'it is a file, not a folder',
};

/** A text property of whatever was thrown. Not `instanceof Error`: under Jest, Node's own errors are of another realm. */
function textOf(error: unknown, property: 'code' | 'message'): string {
  const value: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, property) : undefined;
  return typeof value === 'string' ? value : '';
}

/** The code of a system error such as `ENOENT`, or a SQLSTATE such as `57P03`; an empty string when there is none. */
export const codeOf = (error: unknown): string => textOf(error, 'code');

/** What to say of whatever was thrown; never empty. */
export function reasonOf(error: unknown): string {
  return reasons[codeOf(error)] ?? [textOf(error, 'message'), codeOf(error)].find(Boolean) ?? String(error);
}

/** Passes an `EmbeddedPostgresError` on and turns everything else into one: `sentence: reason`. */
export function toEmbeddedPostgresError(sentence: string, error: unknown): EmbeddedPostgresError {
  if (error instanceof EmbeddedPostgresError) return error;
  return new EmbeddedPostgresError(`${sentence}: ${reasonOf(error)}.`, { cause: error });
}

const DISK_FULL = /No space left on device|Check free disk space/;

/**
 * An error out of what a PostgreSQL program printed: `sentence: its first fatal line` (without one `otherwise`, or the
 * last line), then the last lines. What is said after the first fatal line is mostly a consequence of it.
 */
export function errorFromOutput(sentence: string, output: string, otherwise?: string): EmbeddedPostgresError {
  const lines = output.split(/\r?\n/).filter((line) => line.trim() !== '');
  const fatal = lines.map((line) => /(?:FATAL|PANIC|ERROR|error):\s+(.+)$/.exec(line)?.[1]).find(Boolean);
  const reason = DISK_FULL.test(output)
    ? 'no space left on the disk'
    : (fatal ?? otherwise ?? lines.at(-1) ?? 'it said nothing');
  return new EmbeddedPostgresError(
    [`${sentence}: ${reason}`.replace(/\.?$/, '.'), ...lines.slice(-TAIL_LINES)].join('\n'),
  );
}
