import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What is known of the database's clock; one row. */
@Entity('database_clock')
export class DatabaseClock {
  @PrimaryColumn({ type: 'boolean', default: true, primaryKeyConstraintName: 'database_clock_pkey' })
  id: boolean;

  /** When it was last believed, by itself. */
  @Column({ type: 'timestamptz', name: 'trusted_at', precision: 3 })
  trustedAt: Date;

  /** Since when it has been telling another time, by itself; null while it is believed. */
  @Column({ type: 'timestamptz', name: 'doubted_since', precision: 3, nullable: true })
  doubtedSince: Date | null;

  /** When it was last looked at in doubt, by itself. */
  @Column({ type: 'timestamptz', name: 'doubted_at', precision: 3, nullable: true })
  doubtedAt: Date | null;
}
