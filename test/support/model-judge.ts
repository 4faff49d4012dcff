/** Holds what the control plane says of its sidecars against what each of them really has, and counts when it did so. */
import { expect } from 'vitest';
import type { TypeUrl } from '../../src/compile/resource.js';
import type { Receipt } from '../../src/status/receipt.js';
import { mayHave } from '../../src/stream/scope.js';
import { LEASE_MS, type ModelPlane } from './model-plane.js';
import type { Sidecar } from './model-sidecar.js';

/** How it stands with a sidecar and a name while a receipt is looked at. */
export const CIRCUMSTANCES = [
  'settled',
  'in flight',
  'in force and not acknowledged',
  'disconnected',
  'lost',
  'turned out',
  'not introduced',
  'refused',
  'forgotten',
  'gone from the world',
] as const;
export type Circumstance = (typeof CIRCUMSTANCES)[number];

/** Looks at names that a sidecar wants. */
export interface Looks {
  /** It had what the receipt is of, or something newer. */
  has: number;
  /** It had not: a receipt that did not name it was false. */
  lacks: number;
}

export class Judge {
  readonly looks = Object.fromEntries(CIRCUMSTANCES.map((one) => [one, { has: 0, lacks: 0 }])) as Record<
    Circumstance,
    Looks
  >;

  /** Throws unless whoever `receipt` does not name has what the revision changed, or something newer. */
  expectTrue(plane: ModelPlane, sidecars: readonly Sidecar[], receipt: Receipt): void {
    const { revision, sequence, affected, serving, laggards, lost } = receipt;
    if (sequence === undefined) return;
    if (affected < serving) expect.fail(`revision ${revision}: ${serving} of ${affected} serve it`);
    const concerned = sidecars.filter((sidecar) => mayBeConcerned(plane, sidecar, revision)).length;
    if (affected > concerned) expect.fail(`revision ${revision} affects ${concerned}, and not ${affected}`);
    for (const { proxy, reason, detail } of laggards) {
      const refused = /^it refused (?:to give up )?(.+): it is not to its taste$/.exec(detail)?.[1];
      if (reason === 'refused' && (refused === undefined || !plane.concerns(revision, refused)))
        expect.fail(`revision ${revision} changed nothing that ${proxy} refuses: ${detail}`);
    }
    // Of those that have not said what they want, or are away, it may not be known.
    const mayCount = (one: Sidecar): boolean =>
      !one.isIntroduced || this.wantsAnyOf(plane, one, revision) || plane.mayLeaveBehind(revision, one);
    const counted = serving + laggards.length + lost.length;
    if (plane.ring.of(revision) && counted > sidecars.filter(mayCount).length)
      expect.fail(`revision ${revision}: ${counted} are counted or named, and fewer want it`);
    const left = [...laggards, ...lost].map(({ proxy }) => proxy);
    for (const sidecar of sidecars) {
      const lack = this.lackOf(plane, sidecar, revision);
      // Several may bear one name, one after the other.
      const named = lack === undefined ? -1 : left.indexOf(sidecar.id);
      if (named >= 0) left.splice(named, 1);
      else if (lack !== undefined) expect.fail(`revision ${revision}: ${sidecar.enrolment} is not named, and ${lack}`);
    }
  }

  private wantsAnyOf(plane: ModelPlane, { id, wantedOf }: Sidecar, revision: number): boolean {
    return [...plane.namesOf(revision)].some(([type, names]) =>
      [...names].some((name) => wantedOf(type).has(name) && mayHave(id, name)),
    );
  }

  /** What a sidecar has that is older than what `revision` made of it. */
  private lackOf(plane: ModelPlane, sidecar: Sidecar, revision: number): string | undefined {
    let lack: string | undefined;
    const sequence = plane.sequenceOf(revision);
    if (sequence === undefined) return undefined;
    const remnants = plane.remnantsOf(revision, sidecar).map(([type, name]) => [type, new Set([name])] as const);
    for (const [type, names] of [...plane.changedBy(revision), ...remnants]) {
      for (const name of names) {
        if (!sidecar.wantedOf(type).has(name) || !mayHave(sidecar.id, name)) continue;
        const held = sidecar.heldOf(type).get(name);
        const isForgotten = !plane.ring.of(revision);
        // Of what is forgotten it is known at best that nothing older is in force: of what was just asked for, nothing is.
        const isUnknown = held === undefined || !plane.isTraceable(revision, type, name, held);
        const has = plane.isInForce(type, name, held, sequence) || (isForgotten && isUnknown);
        const circumstance = circumstanceOf(sidecar, type, name);
        const circumstances: Circumstance[] = [circumstance];
        if (isForgotten) circumstances.push('forgotten');
        if (!plane.engine.table.get(type, name)) circumstances.push('gone from the world');
        for (const one of circumstances) this.looks[one][has ? 'has' : 'lacks'] += 1;
        if (!has) lack ??= `holds ${held ?? 'nothing'} of ${type} ${name}`;
      }
    }
    return lack;
  }
}

/** Says whether a sidecar wants anything of what a revision changed and may have that, or may for all that is known. */
function mayBeConcerned(plane: ModelPlane, sidecar: Sidecar, revision: number): boolean {
  const effect = plane.ring.of(revision);
  if (!effect || !sidecar.isIntroduced) return true;
  return [...effect.names, ...effect.remnants].some(([type, names]) =>
    [...names].some((name) => sidecar.wantedOf(type).has(name) && mayHave(sidecar.id, name)),
  );
}

function circumstanceOf(sidecar: Sidecar, type: TypeUrl, name: string): Circumstance {
  if (sidecar.isTurnedOut) return 'turned out';
  if (!sidecar.session) return Date.now() - sidecar.seenAt < LEASE_MS ? 'disconnected' : 'lost';
  if (!sidecar.isIntroduced) return 'not introduced';
  const flight = sidecar.flightOf(type, name);
  if (flight) return flight === 'swapped' ? 'in force and not acknowledged' : 'in flight';
  return sidecar.refusedOf(type).has(name) ? 'refused' : 'settled';
}
