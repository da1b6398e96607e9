import { AppError } from '../http/app-error';

/** How long one kind of work may wait for a connection. */
export interface QuotaLimits {
  /** Pieces of work that may wait; beyond, new ones are refused. */
  maxWaiting: number;
  /** Milliseconds that one may wait; it is refused then. */
  maxWaitMs: number;
  /** Said to those that are refused. */
  refusal: string;
}

/** How a piece of work waits for its turn. */
export interface Turn {
  /** Of one key one piece runs at a time: what would wait for the same lock waits here, without a connection. */
  key?: unknown;
  /** Waits for as long as it takes: it is in the middle of something that a refusal would break off. */
  isPatient?: boolean;
  /** Asked when its turn comes: work that nobody waits for any more does not run. */
  isAbandoned?: () => boolean;
}

interface Waiting {
  key: unknown;
  start: () => void;
}

/**
 * Divides the connections of a pool among kinds of work: each takes half of them at most, and all together leave two
 * (one, of a pool of less than six; none, of a pool of one) to everything that has no quota. Work that finds no room
 * waits. A connection that is free again goes to the kind that has the fewest (of several, to the one whose last turn was
 * the longest ago), and of a kind to what has waited longest: so a kind of which much is waiting does not keep the others
 * from their turns.
 */
export class ConnectionQuotas {
  /** The one that had a turn last is the last one. */
  private quotas: ConnectionQuota[] = [];
  private readonly half: number;
  private readonly together: number;

  /** @param poolMax connections of the pool at most */
  constructor(poolMax: number) {
    this.half = Math.max(1, Math.floor(poolMax / 2));
    this.together = poolMax - (poolMax === 1 ? 0 : poolMax < 6 ? 1 : 2);
  }

  /** A quota for one more kind of work. */
  create(limits: QuotaLimits): ConnectionQuota {
    const quota: ConnectionQuota = new ConnectionQuota(limits, this.half, {
      hasRoom: () => this.hasRoom(),
      isTaken: () => (this.quotas = [...this.quotas.filter((other) => other !== quota), quota]),
      isFree: () => this.startWaiting(),
    });
    this.quotas.push(quota);
    return quota;
  }

  private hasRoom(): boolean {
    return this.quotas.reduce((sum, { running }) => sum + running, 0) < this.together;
  }

  private startWaiting(): void {
    const byRunning = [...this.quotas].sort((one, other) => one.running - other.running);
    // Each turn that is taken changes who has the fewest.
    if (byRunning.some((quota) => quota.startNext())) this.startWaiting();
  }
}

/** The room that all quotas share. */
interface SharedRoom {
  hasRoom(): boolean;
  /** Called when work begins. */
  isTaken(): void;
  /** Called when work has ended. */
  isFree(): void;
}

/** The connections that one kind of work may take. Work of a quota must not wait for work of any quota. */
export class ConnectionQuota {
  /** In the order in which they came. */
  private readonly waiting = new Set<Waiting>();
  private readonly runningKeys = new Set<unknown>();
  private count = 0;

  /** @param connections how many pieces of work run at once */
  constructor(
    private readonly limits: QuotaLimits,
    private readonly connections: number,
    private readonly room: SharedRoom,
  ) {}

  /** Pieces of work that run now. */
  get running(): number {
    return this.count;
  }

  /**
   * Runs `work`, which takes one connection at a time, now or when its turn comes.
   *
   * @throws AppError `unavailable` when too much waits, or for too long; `timeout` when nobody waits for the result any
   *   more; what `work` throws
   */
  run<T>(work: () => Promise<T>, turn: Turn = {}): Promise<T> {
    if (this.mayStart(turn.key)) return this.start(work, turn.key);
    if (!turn.isPatient && this.waiting.size >= this.limits.maxWaiting) return Promise.reject(this.refused());
    return this.wait(work, turn);
  }

  /** Starts what has waited longest of what may start; `false` when there is none. */
  startNext(): boolean {
    for (const next of this.waiting) {
      if (!this.mayStart(next.key)) continue;
      next.start();
      return true;
    }
    return false;
  }

  private mayStart(key: unknown): boolean {
    return this.count < this.connections && !this.runningKeys.has(key) && this.room.hasRoom();
  }

  private wait<T>(work: () => Promise<T>, { key, isPatient, isAbandoned }: Turn): Promise<T> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer);
        this.waiting.delete(waiting);
      };
      const start = (): void => {
        leave();
        if (isAbandoned?.()) reject(abandoned());
        else this.start(work, key).then(resolve, reject);
      };
      const refuse = (): void => {
        leave();
        reject(this.refused());
      };
      const timer = isPatient ? undefined : setTimeout(refuse, this.limits.maxWaitMs);
      const waiting = { key, start };
      this.waiting.add(waiting);
    });
  }

  private async start<T>(work: () => Promise<T>, key: unknown): Promise<T> {
    this.count++;
    this.room.isTaken();
    if (key !== undefined) this.runningKeys.add(key);
    try {
      return await work();
    } finally {
      this.count--;
      this.runningKeys.delete(key);
      this.room.isFree();
    }
  }

  private refused(): AppError {
    return new AppError('unavailable', this.limits.refusal);
  }
}

// No `unavailable`: the log would tell that requests are refused.
function abandoned(): AppError {
  return new AppError('timeout', 'The client left before the turn of its request came.');
}
