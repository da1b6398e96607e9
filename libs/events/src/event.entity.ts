import { Check, Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';

/** How bad an event is, from the least to the worst. */
export const SEVERITIES = ['info', 'warning', 'error', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** A row of `system_events`. Its indexes stand in the migrations: TypeORM cannot declare them. */
@Entity('system_events')
@Check('system_events_severity_check', `severity IN ('info', 'warning', 'error', 'critical')`)
@Check(
  'system_events_timestamp_check',
  `"timestamp" >= '0001-01-01T00:00:00Z' AND "timestamp" < '10000-01-01T00:00:00Z'`,
)
@Index('system_events_timestamp_idx', { synchronize: false })
@Index('system_events_event_type_idx', { synchronize: false })
@Index('system_events_severity_idx', { synchronize: false })
@Index('system_events_source_idx', { synchronize: false })
@Index('system_events_search_idx', { synchronize: false })
@Index('system_events_details_idx', { synchronize: false })
export class SystemEvent {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'system_events_pkey',
  })
  id: string;

  @Column({ type: 'varchar', name: 'event_type', length: 100 })
  eventType: string;

  @Column({ type: 'varchar', length: 20 })
  severity: Severity;

  @Column('text')
  message: string;

  @Column({ type: 'jsonb', nullable: true })
  details: Record<string, unknown> | null;

  @Column({ type: 'varchar', length: 200, nullable: true })
  source: string | null;

  @Column({ type: 'timestamptz', precision: 3, default: () => 'now()' })
  timestamp: Date;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3, default: () => 'now()' })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'updated_at', precision: 3, default: () => 'now()' })
  updatedAt: Date;

  /**
   * The words of `message`, made by the database. Their expression stands in the migration alone: TypeORM would compare
   * it with a copy that it keeps under the name of the database, which a restored or cloned one has not.
   */
  @Column({
    type: 'tsvector',
    nullable: true,
    generatedType: 'STORED',
    asExpression: ' ',
    select: false,
    insert: false,
    update: false,
  })
  search?: string;

  /** 1 at first, one more at every change; with the id it is the entity tag. */
  @Column({ type: 'bigint', default: 1 })
  version: string;
}
