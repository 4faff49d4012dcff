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
  /** Since when nothing was heard of it, if that was longer than its lease when it was last looked. */
  readonly lostSince?: string;
  /** When the newest certificate that it has ends. */
  readonly certificateEndsAt: string;
  readonly endedAt?: string;
  /** Absent: it has not ended. */
  readonly ended?: Ending;
}

/** Why a token lets nobody in. For the log; whoever knocks learns only that the door stays shut. */
export type BadToken = { readonly refused: 'wrong' | 'used' | 'expired'; readonly id?: string };

export type Invited =
  | BadToken
  | {
      readonly invitation: Invitation;
      /** It was used, by the sidecar with that key, which may not have heard of it. */
      readonly joined?: { readonly enrolment: string; readonly key: string };
      readonly refused?: undefined;
    };

export type Redeemed =
  | BadToken
  /** The token is good, and stays so; but another sidecar has the name, and is there. */
  | { readonly refused: 'held'; readonly holder: Enrolment }
  /** Another attempt with the same key came first: ask again whom the token lets in. */
  | { readonly refused: 'overtaken' }
  | { readonly enrolment: Enrolment; readonly refused?: undefined };

/** The certificate that a new enrolment gets, once it is one. */
export interface NewEnrolment {
  readonly id: string;
  /** The SHA-256 of the public key that it is for, in hex. */
  readonly key: string;
  readonly certificateEndsAt: Date;
}

/** Something that whoever looks after the security of the mesh wants to know. */
export type EnrolmentEvent =
  | { readonly what: 'invited'; readonly invitation: Invitation }
  | { readonly what: 'joined' | 'renewed'; readonly enrolment: Enrolment }
  | { readonly what: 'ended'; readonly enrolment: Enrolment; readonly by?: string };

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
  ...(row.lostSince !== null && { lostSince: row.lostSince }),
  ...(row.endedAt !== null && { endedAt: row.endedAt }),
  ...(row.ended !== null && { ended: row.ended as Ending }),
});

export const rowOf = ({ labels, registeredAt, lostSince, endedAt, ended, ...columns }: Enrolment): EnrolmentRow => ({
  ...columns,
  labels: JSON.stringify(labels),
  registeredAt: registeredAt ?? null,
  lostSince: lostSince ?? null,
  endedAt: endedAt ?? null,
  ended: ended ?? null,
});
