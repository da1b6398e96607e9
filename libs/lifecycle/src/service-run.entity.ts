import { Column, Entity, PrimaryColumn } from 'typeorm';

/** How a run ended. */
export type RunOutcome = 'shutdown' | 'crash';

/** One run of a process, from its start to its end; a run without an end and without a heartbeat has crashed. */
@Entity('service_runs')
export class ServiceRun {
  @PrimaryColumn({ type: 'uuid', primaryKeyConstraintName: 'service_runs_pkey' })
  id: string;

  @Column({ type: 'varchar', name: 'service_name', length: 200 })
  serviceName: string;

  @Column({ type: 'varchar', length: 255 })
  host: string;

  @Column({ type: 'integer' })
  pid: number;

  @Column({ type: 'varchar', length: 50 })
  version: string;

  @Column({ type: 'timestamptz', name: 'started_at', precision: 3, default: () => 'now()' })
  startedAt: Date;

  @Column({ type: 'timestamptz', name: 'heartbeat_at', precision: 3, default: () => 'now()' })
  heartbeatAt: Date;

  /** When the run counts as crashed unless it says again that it lives; it knows its own heartbeat. */
  @Column({ type: 'timestamptz', name: 'expires_at', precision: 3 })
  expiresAt: Date;

  @Column({ type: 'timestamptz', name: 'ended_at', precision: 3, nullable: true })
  endedAt: Date | null;

  @Column({ type: 'varchar', length: 20, nullable: true })
  outcome: RunOutcome | null;
}
