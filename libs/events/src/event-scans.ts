import { Injectable } from '@nestjs/common';
import { SharedLoads } from '@app/platform';
import { EventQuotas } from './event-quotas';

/** Runs reads that may pass over all events in their turn, equal ones that wait as one. */
@Injectable()
export class EventScans {
  private readonly loads: SharedLoads<string>;

  constructor(quotas: EventQuotas) {
    this.loads = new SharedLoads((load, isAbandoned) => quotas.scans.run(load, { isAbandoned }));
  }

  /**
   * What `read` returns, or an equal read that begins after this call. It waits for its turn, at most 2 s, and before
   * that for the end of an equal one that is under way.
   *
   * @param kind what is read
   * @param query the query as it was sent; relative times are for `read` to resolve, when it begins
   * @param hasLeft whether the client is gone; what nobody waits for any more does not run
   * @throws AppError `unavailable` when too many wait, or too long; what `read` throws
   */
  read(kind: string, query: unknown, read: () => Promise<string>, hasLeft?: () => boolean): Promise<string> {
    return this.loads.next(`${kind} ${JSON.stringify(query)}`, read, hasLeft);
  }
}
