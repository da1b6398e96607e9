import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A row of `idempotency_keys`: the answer to a request, for when it comes again. */
@Entity('idempotency_keys')
@Index('idempotency_keys_created_at_idx', ['createdAt'])
export class IdempotencyKeyRow {
  /** SHA-256 over what the key belongs to, and the key. */
  @PrimaryColumn({ type: 'bytea', primaryKeyConstraintName: 'idempotency_keys_pkey' })
  digest: Buffer;

  /** SHA-256 over the query and the body of the request. */
  @Column('bytea')
  fingerprint: Buffer;

  @Column('smallint')
  status: number;

  /** Headers of the answer beside those that every answer has. */
  @Column('jsonb')
  headers: Record<string, string>;

  @Column('text')
  body: string;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3, default: () => 'now()' })
  createdAt: Date;
}
