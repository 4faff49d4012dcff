/** Which proxies serve a revision: the proof that a change has arrived. Pure. */
import type { TypeUrl } from '../compile/resource.js';
import type { Ref } from '../model/document.js';
import type { Client } from '../stream/client.js';
import type { Refusal } from '../stream/delta.js';
import type { Proxy } from './proxy.js';
import type { Effect } from './ring.js';

/** A proxy that does not serve the revision (yet), and why. */
export interface Laggard {
  readonly proxy: string;
  /** The revision that it serves instead; absent when that is not known. */
  readonly serves?: number;
  readonly reason: 'pending' | 'refused' | 'disconnected';
  /** One sentence for people. */
  readonly detail: string;
}

/** A proxy that has not been heard of for longer than its lease, and may still do what it did then. */
export interface Lost {
  readonly proxy: string;
  /** Its sidecar: others may have joined for the same workload before it, and since. */
  readonly enrolment: string;
  /** Since when nothing has been heard of it; ISO 8601. */
  readonly since: string;
}

/** An object that the revision put in place and that does nothing, as the mesh stands. */
export interface NoEffect {
  readonly ref: Ref;
  /** One word for machines. */
  readonly reason: string;
  /** One sentence for people. */
  readonly message: string;
}

export interface Receipt {
  readonly revision: number;
  /** The first state of the world that holds it; absent while it has not been published. */
  readonly sequence?: number;
  /** How many proxies there are that want what it changed, or may. */
  readonly affected: number;
  /** How many of them have that in force, or something newer. */
  readonly serving: number;
  /** The others, up to a thousand. */
  readonly laggards: readonly Laggard[];
  /** Those that are lost and not known to have it, up to a thousand. They are affected only if that was asked for. */
  readonly lost: readonly Lost[];
  /** One sentence for people: what was counted. */
  readonly why: string;
  readonly noEffect?: readonly NoEffect[];
}

/** Whether proxies that are lost count as proxies that do not serve the revision. */
export const LOST_MODES = ['ignore', 'count'] as const;
export type LostMode = (typeof LOST_MODES)[number];

/** How many proxies must serve a revision before a caller stops waiting. */
export type Target = { readonly percent: number } | { readonly proxies: number };

/** How many proxies a receipt names of each kind. */
const NAMED = 1_000;

/** What is known of one proxy and one revision. */
export type Standing = 'serving' | 'pending' | Refusal;

/** What a proxy is judged by. */
interface Evidence {
  readonly client?: Client | undefined;
  readonly serves?: number | undefined;
}

/** How a proxy stands to what a revision changed. */
export function standingOf({ client, serves }: Evidence, effect: Effect): Standing {
  const { names, remnants, sequence, later, isVague } = effect;
  if (!client?.isIntroduced || client.isInDoubt || (isVague && !isWholeAt(sequence, serves))) return 'pending';
  let standing: Standing = 'serving';
  for (const some of [names, remnants]) {
    for (const [type, ofType] of some) {
      const proof = standingIn(client, type, ofType, (name) => later?.get(`${type} ${name}`) ?? sequence);
      if (typeof proof === 'object') return proof;
      if (proof === 'pending') standing = 'pending';
    }
  }
  return standing;
}

/** Whether who serves that much has had the world whole at `sequence` or later. */
export const isWholeAt = (sequence: number, serves: number | undefined): boolean =>
  serves !== undefined && serves >= sequence;

function standingIn(
  client: Client,
  type: TypeUrl,
  names: ReadonlySet<string>,
  sequenceOf: (name: string) => number,
): Standing {
  let standing: Standing = 'serving';
  for (const name of client.wanted(type, names)) {
    const proof = client.proof(type, name, sequenceOf(name));
    if (typeof proof === 'object') return proof;
    if (proof === 'pending') standing = 'pending';
  }
  return standing;
}

/** What a receipt is made from, beside the proxies. */
export interface Circumstances {
  readonly revision: number;
  readonly effect: Effect;
  readonly noEffect: readonly NoEffect[];
  readonly lost: LostMode;
  /** The newest revision of which the world is at a sequence. */
  revisionAt(sequence: number): number;
}

/** A receipt, and what it does not say. */
export interface Account {
  readonly receipt: Receipt;
  /** How many of those that are affected have refused what the revision changed, named or not. */
  readonly refused: number;
  /** Some that have no stream do not serve it. */
  readonly hasAbsent: boolean;
}

/** The receipt among `concerned`, the proxies that want what the revision changed, or of which it is not known. */
export function receiptOf(concerned: readonly Proxy[], about: Circumstances): Account {
  const { revision, effect } = about;
  const laggards: Laggard[] = [];
  const lost: Lost[] = [];
  let [affected, serving, behind, missing, refused] = [0, 0, 0, 0, 0];
  let hasAbsent = false;
  for (const proxy of concerned) {
    const standing = standingOf(proxy, effect);
    hasAbsent ||= proxy.state !== 'connected' && standing !== 'serving';
    if (proxy.state === 'lost' && standing !== 'serving') {
      missing += 1;
      if (lost.length < NAMED) lost.push({ proxy: proxy.id, enrolment: proxy.enrolment, since: proxy.since });
      continue;
    }
    affected += 1;
    if (standing === 'serving') serving += 1;
    else {
      behind += 1;
      const one = laggard(proxy, standing, about);
      if (one.reason === 'refused') refused += 1;
      if (laggards.length < NAMED) laggards.push(one);
    }
  }
  if (about.lost === 'count') affected += missing;
  const receipt: Receipt = {
    revision,
    sequence: effect.sequence,
    affected,
    serving,
    laggards,
    lost,
    why: why(effect, { affected, serving, missing, unnamed: behind - laggards.length }),
    ...(about.noEffect.length > 0 && { noEffect: about.noEffect }),
  };
  return { receipt, refused, hasAbsent };
}

/** The receipt of a revision that no proxy has been told of yet. */
export const unpublished = (revision: number, fault: string | undefined): Account => ({
  receipt: {
    revision,
    affected: 0,
    serving: 0,
    laggards: [],
    lost: [],
    why: fault ?? `revision ${revision} is being published`,
  },
  refused: 0,
  hasAbsent: false,
});

function laggard({ id, serves, state, since }: Proxy, standing: Standing, about: Circumstances): Laggard {
  const known = { proxy: id, ...(serves !== undefined && { serves: about.revisionAt(serves) }) };
  if (state !== 'connected') {
    const detail = `it has had no stream since ${since} and goes on with what it last had`;
    return { ...known, reason: 'disconnected', detail };
  }
  if (typeof standing === 'object') {
    const { name, version, reason } = standing;
    return {
      ...known,
      reason: 'refused',
      detail: `it refused ${version === '' ? 'to give up ' : ''}${name}: ${reason}`,
    };
  }
  return { ...known, reason: 'pending', detail: 'it has not confirmed it yet' };
}

interface Counts {
  readonly affected: number;
  readonly serving: number;
  readonly missing: number;
  readonly unnamed: number;
}

function why({ revision, names, isVague }: Effect, { affected, serving, missing, unnamed }: Counts): string {
  const lost =
    missing > 0 ? `; ${missing} more ${missing > 1 ? 'are' : 'is'} lost and may still have what was before` : '';
  const more = unnamed > 0 ? `; ${unnamed} of the others are not named here` : '';
  const what = revision === 0 ? 'was reported last' : `revision ${revision} changed`;
  if (affected > 0) return `${serving} of ${affected} proxies hold what ${what}${lost}${more}`;
  const isEmpty = [...names.values()].every(({ size }) => size === 0);
  if (isVague && isEmpty) return `nobody is known to hold anything older than what ${what}${lost}`;
  return isEmpty ? `of what ${what}, proxies are told nothing${lost}` : `no proxy wants what ${what}${lost}`;
}

/** How many proxies `target` comes to, of as many as the receipt counts. */
const needed = (target: Target, affected: number): number =>
  'percent' in target ? Math.ceil((affected * target.percent) / 100) : target.proxies;

export const isMet = (receipt: Pick<Receipt, 'sequence' | 'serving' | 'affected'>, target: Target): boolean =>
  receipt.sequence !== undefined && receipt.serving >= needed(target, receipt.affected);

/** How many more proxies must serve the revision. */
export const shortfall = ({ serving, affected }: Receipt, target: Target): number => needed(target, affected) - serving;

/** Says whether so many have refused what the revision changed that waiting is of no use: they keep what they have until it changes. */
export const isHopeless = ({ receipt: { affected }, refused }: Account, target: Target): boolean =>
  refused > 0 && affected - refused < needed(target, affected);
