import { Injectable } from '@nestjs/common';
import {
  AppError,
  DatabaseService,
  IDEMPOTENCY_KEY_HEADER,
  invalid,
  JsonText,
  Statement,
  type Connection,
  type IdempotencyKey,
} from '@app/platform';

/** An answer as it is remembered. */
export interface Answer {
  headers: Record<string, string>;
  body: string;
  /** Whether it is the answer to an earlier request. */
  isReplayed: boolean;
}

/** An answer as it leaves. */
export function toJsonText({ headers, body, isReplayed }: Answer): JsonText {
  return new JsonText(body, { ...headers, ...(isReplayed && { 'idempotent-replayed': 'true' }) });
}

/** What is known of a key: an answer, given to the same body and query or to others. */
export interface KnownKey {
  same: boolean;
  headers: Record<string, string>;
  body: string;
}

const LOCK_KEY = new Statement<{ locked: boolean }>(
  'lock-idempotency-key',
  'SELECT pg_try_advisory_xact_lock($1::bigint) AS locked',
);
const FIND_KEY = new Statement<KnownKey>(
  'find-idempotency-key',
  `SELECT fingerprint = decode($2, 'hex') AS same, headers, body FROM idempotency_keys WHERE digest = decode($1, 'hex')`,
);
const REMEMBER_KEY = new Statement<Record<string, never>>(
  'remember-idempotency-key',
  `INSERT INTO idempotency_keys (digest, fingerprint, status, headers, body)
   VALUES (decode($1, 'hex'), decode($2, 'hex'), $3, $4, $5)`,
);

/** Answers a request with an `Idempotency-Key` once, and a repeated one with the same words. */
@Injectable()
export class IdempotencyService {
  private readonly underWay = new Set<string>();

  constructor(private readonly database: DatabaseService) {}

  /** Runs `work` unless the key is at work in this process already. @throws AppError `conflict` */
  async exclusively<T>({ digest }: IdempotencyKey, work: () => Promise<T>): Promise<T> {
    if (this.underWay.has(digest)) throw stillUnderWay();
    this.underWay.add(digest);
    try {
      return await work();
    } finally {
      this.underWay.delete(digest);
    }
  }

  /**
   * The answer of `work`, remembered in the transaction in which it stores; the remembered answer when there is one.
   *
   * @throws AppError `conflict` while the same key is under way, `invalid` when it came with another body or query; what
   *   `work` throws, and the key is not used up then
   */
  answerOnce(key: IdempotencyKey, status: number, work: (connection: Connection) => Promise<string>): Promise<Answer> {
    return this.exclusively(key, () =>
      this.database.transaction(async (connection) => {
        const [lock] = await LOCK_KEY.run(connection, [lockOf(key)]);
        if (!lock?.locked) throw stillUnderWay();
        const [known] = await FIND_KEY.run(connection, [key.digest, key.fingerprint]);
        if (known) return orThrow(replay(known));
        const body = await work(connection);
        await REMEMBER_KEY.run(connection, [key.digest, key.fingerprint, status, {}, body]);
        return { headers: {}, body, isReplayed: false };
      }),
    );
  }
}

/** The key of the advisory lock under which one process answers: 64 bits of the digest. */
export function lockOf({ digest }: IdempotencyKey): string {
  return BigInt.asIntN(64, BigInt(`0x${digest.slice(0, 16)}`)).toString();
}

/** The answer of a key that is known, or what is wrong with asking for it. */
export function replay({ same, headers, body }: KnownKey): Answer | AppError {
  if (same) return { headers, body, isReplayed: true };
  const detail = `${IDEMPOTENCY_KEY_HEADER} was used for a request with another body or query`;
  return invalid([{ detail, parameter: IDEMPOTENCY_KEY_HEADER }]);
}

function orThrow<T>(result: T | AppError): T {
  if (result instanceof AppError) throw result;
  return result;
}

export function stillUnderWay(): AppError {
  return new AppError('conflict', `A request with this ${IDEMPOTENCY_KEY_HEADER} is still under way; try again.`);
}
