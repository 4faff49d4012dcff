/** The tables, one class each. What is not looked up by is stored as it is in the model, as JSON text. */
import { Column, Entity, PrimaryColumn } from 'typeorm';

/** An object that somebody wishes, as it stands. */
@Entity('object')
export class ObjectRow {
  @PrimaryColumn('text') kind!: string;
  @PrimaryColumn('text') namespace!: string;
  @PrimaryColumn('text') name!: string;
  @Column('text') document!: string;
}

/** A fact: what the sidecar of a workload last reported of it. */
@Entity('fact')
export class FactRow {
  @PrimaryColumn('text') namespace!: string;
  @PrimaryColumn('text') name!: string;
  @Column('text') enrolment!: string;
  @Column('text') labels!: string;
  @Column('text') spec!: string;
  @Column('text', { name: 'created_at' }) createdAt!: string;
  @Column('text', { name: 'reported_at' }) reportedAt!: string;
}

/** A committed change set. Rows are added and never changed. */
@Entity('revision')
export class RevisionRow {
  @PrimaryColumn('integer') number!: number;
  @Column('text') author!: string;
  @Column('text') comment!: string;
  @Column('text') at!: string;
  @Column('text') changes!: string;
}

/** An API token: never the secret, only its hash. */
@Entity('api_token')
export class ApiTokenRow {
  @PrimaryColumn('text') id!: string;
  @Column('text') name!: string;
  @Column('text') hash!: string;
  @Column('text', { name: 'created_at' }) createdAt!: string;
  @Column('text', { name: 'expires_at', nullable: true }) expiresAt!: string | null;
}

/** A join token, with what it makes of the sidecar that uses it. */
@Entity('join_token')
export class JoinTokenRow {
  @PrimaryColumn('text') id!: string;
  @Column('text') hash!: string;
  @Column('text') namespace!: string;
  @Column('text') name!: string;
  @Column('text') identity!: string;
  @Column('text') labels!: string;
  @Column('text', { name: 'created_at' }) createdAt!: string;
  @Column('text', { name: 'expires_at' }) expiresAt!: string;
  @Column('text', { name: 'used_at', nullable: true }) usedAt!: string | null;
  /** The SHA-256 of the public key that the sidecar brought, in hex. */
  @Column('text', { name: 'used_by_key', nullable: true }) usedByKey!: string | null;
  @Column('text', { name: 'made_by' }) madeBy!: string;
}

/** A sidecar that has joined: which workload it speaks for, as whom, until when, and how it came in. */
@Entity('enrolment')
export class EnrolmentRow {
  @PrimaryColumn('text') id!: string;
  @Column('text') namespace!: string;
  @Column('text') name!: string;
  @Column('text') identity!: string;
  @Column('text') labels!: string;
  @Column('text', { name: 'joined_at' }) joinedAt!: string;
  @Column('text', { name: 'join_token_id' }) joinTokenId!: string;
  @Column('text', { name: 'invited_by' }) invitedBy!: string;
  @Column('text', { name: 'registered_at', nullable: true }) registeredAt!: string | null;
  @Column('text', { name: 'seen_at' }) seenAt!: string;
  @Column('text', { name: 'certificate_ends_at' }) certificateEndsAt!: string;
  @Column('text', { name: 'ended_at', nullable: true }) endedAt!: string | null;
  @Column('text', { nullable: true }) ended!: string | null;
  @Column('text', { name: 'lost_since', nullable: true }) lostSince!: string | null;
}

/** A single thing that is to be remembered. */
@Entity('remembered')
export class RememberedRow {
  @PrimaryColumn('text') what!: string;
  @Column('text') value!: string;
}

export const ENTITIES = [ObjectRow, FactRow, RevisionRow, ApiTokenRow, JoinTokenRow, EnrolmentRow, RememberedRow];
