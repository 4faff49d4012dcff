/** What a sidecar that has joined is to the control plane, and the token that let it in. Plain values. */
import type { Labels, SpiffeId } from '../model/names.js';
import type { EnrolmentRow, JoinTokenRow } from './entities.js';

/** What a join token makes of the sidecar that uses it. A sidecar can claim no more than this. */
export interface Claims {
  readonly namespace: string;
  readonly name: string;
  readonly identity: SpiffeId;
  readonly labels: Labels;
}

/** Who may join, until when, and who said so. */
export interface Invitation extends Claims {
  /** That of its token. */
  readonly id: string;
  readonly expiresAt: string;
  /** The name of the API token that it was made with. */
  readonly madeBy: string;
}

/**
 * How an enrolment came to its end. left: its program ended. evicted: an operator ended it. replaced: another sidecar joined
 * for the same workload. forgotten: its certificate ended days ago and was not renewed.
 */
export const ENDINGS = ['left', 'evicted', 'replaced', 'forgotten'] as const;
export type Ending = (typeof ENDINGS)[number];

/** One sidecar, from its join to its end. Its certificate names its id. Times are ISO 8601, UTC, milliseconds. */
export interface Enrolment extends Claims {
  readonly id: string;
  readonly joinedAt: string;
  readonly joinTokenId: string;
  readonly invitedBy: string;
  /** When it first said where its workload is. Absent: it has not yet. */
  readonly registeredAt?: string;
  /** When it was last heard of, to within some minutes. */
  readonly seenAt: string;
  /** When the newest certificate that it has ends. */
  readonly certificateEndsAt: string;
  readonly endedAt?: string;
  /** Absent: it has not ended. */
  readonly ended?: Ending;
}

/** Says what an ended enrolment is told. */
export const wordsFor: Readonly<Record<Ending, string>> = {
  left: 'it left the mesh',
  evicted: 'it was evicted',
  replaced: 'another sidecar joined for the same workload',
  forgotten: 'its certificate ended long ago',
};

const claimsOf = ({ namespace, name, identity, labels }: JoinTokenRow | EnrolmentRow): Claims => ({
  namespace,
  name,
  identity: identity as SpiffeId,
  labels: JSON.parse(labels) as Labels,
});

export const invitationOf = (row: JoinTokenRow): Invitation => ({
  ...claimsOf(row),
  id: row.id,
  expiresAt: row.expiresAt,
  madeBy: row.madeBy,
});

export const enrolmentOf = (row: EnrolmentRow): Enrolment => ({
  ...claimsOf(row),
  id: row.id,
  joinedAt: row.joinedAt,
  joinTokenId: row.joinTokenId,
  invitedBy: row.invitedBy,
  seenAt: row.seenAt,
  certificateEndsAt: row.certificateEndsAt,
  ...(row.registeredAt !== null && { registeredAt: row.registeredAt }),
  ...(row.endedAt !== null && { endedAt: row.endedAt }),
  ...(row.ended !== null && { ended: row.ended as Ending }),
});

export const rowOf = ({ labels, registeredAt, endedAt, ended, ...columns }: Enrolment): EnrolmentRow => ({
  ...columns,
  labels: JSON.stringify(labels),
  registeredAt: registeredAt ?? null,
  endedAt: endedAt ?? null,
  ended: ended ?? null,
});
