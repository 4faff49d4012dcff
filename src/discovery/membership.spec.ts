/** What follows from who is enrolled, a row a sentence. */
import { describe, expect, it } from 'vitest';
import { spiffeId } from '../model/names.js';
import type { Enrolment } from '../store/enrolment.js';
import { reconcileMembership, type Membership } from './membership.js';

const enrolment = (name: string, certificateEndsAt: string, more: Partial<Enrolment> = {}): Enrolment => ({
  ...{ id: `id-${name}`, namespace: 'shop', name, labels: {}, joinTokenId: 't', invitedBy: 'ci' },
  identity: spiffeId({ trustDomain: 'sluice.local', namespace: 'shop', account: name }),
  ...{ joinedAt: '2026-01-01', seenAt: '2026-01-01', registeredAt: '2026-01-01', certificateEndsAt },
  ...more,
});
const [PAST, SINCE] = ['2026-01-02', '2026-01-09'];
const membership = (enrolments: readonly Enrolment[], more: Partial<Membership> = {}): Membership => ({
  enrolments,
  workloads: new Set(enrolments.map(({ name }) => `shop/${name}`)),
  ...{ streams: [], forgetBefore: '2026-01-05', mayForget: 10 },
  ...more,
});

describe('membership', () => {
  it.each<[string, Membership, unknown[]]>([
    ['one whose certificate is good stays', membership([enrolment('a', SINCE)]), []],
    [
      'one whose certificate ended long ago is forgotten, and its workload goes',
      membership([enrolment('a', PAST)]),
      [
        { do: 'end', enrolment: 'id-a', ending: 'forgotten' },
        { do: 'remove', workload: 'shop/a' },
      ],
    ],
    ['but not while it has a stream', membership([enrolment('a', PAST)], { streams: ['id-a'] }), []],
    ['and not when it is not the time to forget anybody', membership([enrolment('a', PAST)], { mayForget: 0 }), []],
    [
      'of several, those whose certificates ended first, as many as may',
      membership([enrolment('b', '2026-01-03'), enrolment('a', PAST), enrolment('c', '2026-01-04')], { mayForget: 1 }),
      [
        { do: 'end', enrolment: 'id-a', ending: 'forgotten' },
        { do: 'remove', workload: 'shop/a' },
      ],
    ],
    [
      'one whose workload somebody took out is evicted, and its stream is cut',
      membership([enrolment('a', SINCE)], { workloads: new Set(), streams: ['id-a'] }),
      [
        { do: 'end', enrolment: 'id-a', ending: 'evicted' },
        { do: 'hang-up', enrolment: 'id-a' },
      ],
    ],
    [
      'a workload for which nobody speaks any more goes',
      membership([enrolment('a', SINCE, { ended: 'left', endedAt: '2026-01-01' })]),
      [{ do: 'remove', workload: 'shop/a' }],
    ],
  ])('%s', (_, how, wishes) => expect(reconcileMembership(how)).toEqual(wishes));
});
