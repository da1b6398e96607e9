import { Injectable } from '@nestjs/common';
import { DatabaseService, type ConnectionQuota } from '@app/platform';
import { MAX_WAIT_MS, TOO_MANY_WAITING } from './write-queue';

/** Batches that may wait, of 16 MiB each at most. */
const MAX_WAITING_BATCHES = 32;

/** Scans that may wait: each may take seconds. */
export const MAX_WAITING_SCANS = 100;

/** Pages and changes that may wait: some milliseconds each, and by default no more requests can be open. */
const MAX_WAITING_OTHERS = 1000;

/** Milliseconds that a read or a change may wait for its turn. */
export const MAX_TURN_WAIT_MS = 2000;

/**
 * What kinds of requests take of the pool of connections, so that none of them stops the others: half of it each, and
 * all together leave some to what needs no quota, as it takes a few connections for milliseconds: single new events
 * (two connections, however many they are), single events by their ids, background work.
 */
@Injectable()
export class EventQuotas {
  /** Reads that may pass over all events: facets, time series, exact counts, deep offsets, exports. */
  readonly scans: ConnectionQuota;
  /** Pages of listings, and statistics. */
  readonly pages: ConnectionQuota;
  /** Changes and deletions: they may wait for locks. */
  readonly changes: ConnectionQuota;
  /** Batches, and what an import stores at once. */
  readonly batches: ConnectionQuota;

  constructor(database: DatabaseService) {
    this.scans = database.createQuota({
      maxWaiting: MAX_WAITING_SCANS,
      maxWaitMs: MAX_TURN_WAIT_MS,
      refusal: 'Too many reads that may pass over all events are waiting; try again.',
    });
    this.pages = database.createQuota({
      maxWaiting: MAX_WAITING_OTHERS,
      maxWaitMs: MAX_TURN_WAIT_MS,
      refusal: 'Too many reads are waiting; try again.',
    });
    this.changes = database.createQuota({
      maxWaiting: MAX_WAITING_OTHERS,
      maxWaitMs: MAX_TURN_WAIT_MS,
      refusal: 'Too many changes of events are waiting; try again.',
    });
    this.batches = database.createQuota({
      maxWaiting: MAX_WAITING_BATCHES,
      maxWaitMs: MAX_WAIT_MS,
      refusal: TOO_MANY_WAITING,
    });
  }
}
