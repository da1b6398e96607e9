import { loadProcessConfig, MigrationDataSource, type Schema } from './libs/platform/src';
import { SystemEvent } from './libs/events/src/event.entity';
import { CreateSystemEvents1763700000000 } from './libs/events/src/migrations/1763700000000-create-system-events';
import { CountEvents1763800100000 } from './libs/events/src/migrations/1763800100000-count-events';
import { IdempotencyKeyRow } from './libs/events/src/idempotency-key.entity';
import { CreateIdempotencyKeys1763800200000 } from './libs/events/src/migrations/1763800200000-create-idempotency-keys';
import { IndexSearchAndDetails1763800000000 } from './libs/events/src/migrations/1763800000000-index-search-and-details';
import { CreateRetentionRuns1763800300000 } from './libs/events/src/migrations/1763800300000-create-retention-runs';
import { DatabaseClock } from './libs/events/src/database-clock.entity';
import { WatchClock1763800450000 } from './libs/events/src/migrations/1763800450000-watch-clock';
import { RetentionRun } from './libs/events/src/retention-run.entity';
import { CreateServiceRuns1763700100000 } from './libs/lifecycle/src/migrations/1763700100000-create-service-runs';
import { ServiceRun } from './libs/lifecycle/src/service-run.entity';

/** Every entity and migration, by class: a feature adds its own here. */
export const schema: Schema = {
  entities: [SystemEvent, IdempotencyKeyRow, RetentionRun, DatabaseClock, ServiceRun],
  migrations: [
    CreateSystemEvents1763700000000,
    CreateServiceRuns1763700100000,
    IndexSearchAndDetails1763800000000,
    CountEvents1763800100000,
    CreateIdempotencyKeys1763800200000,
    CreateRetentionRuns1763800300000,
    WatchClock1763800450000,
  ],
};

/** What the TypeORM command line works with. */
export default new MigrationDataSource(loadProcessConfig().database, schema);
