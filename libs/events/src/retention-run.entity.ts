import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** One deletion of old events, from its start to its end; one without an end that has expired was broken off. */
@Entity('retention_runs')
export class RetentionRun {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'retention_runs_pkey',
  })
  id: string;

  /** From here the age of events is counted back. */
  @Column({ type: 'timestamptz', name: 'started_at', precision: 3 })
  startedAt: Date;

  /** When the run counts as broken off unless it says again that it goes on. */
  @Column({ type: 'timestamptz', name: 'expires_at', precision: 3 })
  expiresAt: Date;

  @Column({ type: 'timestamptz', name: 'ended_at', precision: 3, nullable: true })
  endedAt: Date | null;

  /** Events deleted until now. */
  @Column({ type: 'bigint', default: 0 })
  deleted: string;
}
