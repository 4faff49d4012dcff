/**
 * The rules of the aggregated stream, a table of small dialogues. `>` is a request, `<` what the server says to it.
 *
 *   world C:a=1 L:x=2      the mesh now has cluster a in version 1 and listener x in version 2; a new revision
 *   > C +a -b held a=1     a request for clusters: subscribe a, unsubscribe b, "I hold a in version 1"
 *   > C ack | nack a | nack | stale    answers the last response of the type; nack with names blames only those
 *   < C a@1 -b | < C | < nothing       each response in order: resources, removed names
 *   serves 2 | serves nothing          what the client is known to have
 *   refuses C:a@2 | refuses nothing
 *
 * `like` names the test of go-control-plane, java-control-plane or istiod that a row mirrors.
 */
import { describe, expect, it } from 'vitest';
import { TYPES, type Resource, type TypeUrl } from '../compile/resource.js';
import { Session } from './session.js';
import { SessionViolation, type DeltaResponse, type Published } from './delta.js';

const LETTERS: Record<string, TypeUrl> = { C: TYPES.cluster, E: TYPES.endpoints, L: TYPES.listener, R: TYPES.route };

interface Row {
  readonly it: string;
  readonly like?: string;
  /** Types that the client announced it would ask for. */
  readonly announced?: string;
  readonly talk: string;
}

const rows: Row[] = [
  {
    it: 'sends what is asked for by name, once',
    like: 'DeltaResponseHandlers',
    talk: `
      world C:a=1 C:b=1
      > C +a
      < C a@1
      > C ack
      < nothing
      serves 1`,
  },
  {
    it: 'sends everything to a client whose first request is empty, even if there is nothing',
    like: 'DeltaResponseHandlersWildcard',
    talk: `
      world
      > C
      < C
      > C ack
      < nothing
      world C:a=1
      < C a@1`,
  },
  {
    it: 'takes an empty first request for nothing once something was named',
    like: 'DeltaWildcardSubscriptions',
    talk: `
      world C:a=1 C:b=1
      > C +a
      < C a@1
      > C ack
      < nothing
      > C -a
      < nothing
      world C:a=2
      < nothing`,
  },
  {
    it: 'takes * for everything, and back',
    like: 'DeltaWildcardSubscriptions',
    talk: `
      world C:a=1 C:b=1
      > C +*
      < C a@1 b@1
      > C ack -*
      < nothing
      world C:a=2
      < nothing
      > C +a
      < C a@2`,
  },
  {
    it: 'takes * in both lists for nothing: the start of a client that asks on demand',
    talk: `
      world C:a=1
      > C +* -*
      < nothing
      serves 1
      > C +a
      < C a@1`,
  },
  {
    it: 'answers when a name is given back to the wildcard: whole if it exists',
    like: 'DeltaWildcardSubscriptions',
    talk: `
      world C:a=1
      > C +* +a +b
      < C a@1 -b
      > C ack -a
      < C a@1
      > C ack -b
      < C -b`,
  },
  {
    it: 'takes nothing away that what stays in force after a refusal may still use',
    talk: `
      world C:a=1 R:r=toA
      > C +a +b
      < C a@1 -b
      > C ack
      < nothing
      > R +r
      < R r@toA
      > R ack
      < nothing
      world C:b=1 R:r=toB
      < C b@1
      < R r@toB
      > C ack
      < nothing
      > R nack r
      < nothing
      refuses R:r@toB
      world C:b=1 R:r=toBAgain
      < R r@toBAgain
      > R ack
      < C -a
      > C ack
      serves 3`,
  },
  {
    it: 'says at once that a name does not exist, and sends it when it comes to exist',
    like: 'SnapshotCreateWatchWithResourcePreviouslyNotRequested',
    talk: `
      world
      > C +a
      < C -a
      > C ack
      < nothing
      serves 1
      world C:a=1
      < C a@1`,
  },
  {
    it: 'sends again what is asked for again',
    like: 'DeltaSubscriptions',
    talk: `
      world C:a=1
      > C +a
      < C a@1
      > C ack +a
      < C a@1`,
  },
  {
    it: 'does not mind a name unsubscribed that was never subscribed',
    like: 'DeltaUnsub',
    talk: `
      world C:a=1
      > C +a
      < C a@1
      > C ack -zzz
      < nothing`,
  },
  {
    it: 'says nothing of what is not subscribed to any more',
    like: 'DeltaUnsub',
    talk: `
      world C:a=1
      > C +a
      < C a@1
      > C ack -a
      < nothing
      world
      < nothing`,
  },
  {
    it: 'keeps one response of a type in flight and folds what comes meanwhile into the next',
    talk: `
      world C:a=1
      > C +a
      < C a@1
      world C:a=2
      < nothing
      world C:a=3
      < nothing
      serves nothing
      > C ack
      < C a@3
      > C ack
      < nothing
      serves 3`,
  },
  {
    it: 'does not answer an acknowledgement',
    like: 'ShouldRespondDelta ack',
    talk: `
      world C:a=1
      > C +a
      < C a@1
      > C ack
      < nothing`,
  },
  {
    it: 'takes no notice of a stale nonce, but of the names that come with it',
    like: 'StaleNonce',
    talk: `
      world C:a=1 C:b=1
      > C +a
      < C a@1
      > C stale +b
      < nothing
      serves nothing
      > C ack
      < C b@1`,
  },
  {
    it: 'drops what was about to be sent when it is not wanted any more',
    like: 'AggregatedHandlersDropStaleResponseAfterUnsubscribe',
    talk: `
      world C:a=1 C:b=1
      > C +a
      < C a@1
      > C +b
      < nothing
      > C -b
      < nothing
      > C ack
      < nothing`,
  },
  {
    it: 'does not send again what was refused, until its content changes',
    like: 'ShouldRespondDelta nack',
    talk: `
      world C:a=1
      > C +a
      < C a@1
      > C ack
      < nothing
      world C:a=2
      < C a@2
      > C nack
      < nothing
      refuses C:a@2
      serves 1
      world C:a=2 C:b=1
      < nothing
      serves 1
      world C:a=3
      < C a@3
      refuses nothing
      serves 1
      > C ack
      < nothing
      refuses nothing
      serves 4`,
  },
  {
    it: 'blames only the resources that the client names; the others are in force',
    talk: `
      world C:a=1 C:b=1
      > C +a +b
      < C a@1 b@1
      > C nack a
      < nothing
      refuses C:a@1
      world C:a=2 C:b=1
      < C a@2`,
  },
  {
    it: 'forgets a refusal when the content goes back to what the client still has',
    talk: `
      world C:a=1
      > C +a
      < C a@1
      > C ack
      < nothing
      world C:a=2
      < C a@2
      > C nack
      < nothing
      world C:a=1
      < nothing
      refuses nothing
      serves 3`,
  },
  {
    it: 'forgets a refusal when the resource is gone',
    talk: `
      world C:a=1
      > C +a
      < C a@1
      > C nack
      < nothing
      world
      < C -a
      > C ack
      < nothing
      refuses nothing
      serves 2`,
  },
  {
    it: 'heeds the names that come with a refusal',
    talk: `
      world C:a=1 C:b=1
      > C +a
      < C a@1
      > C nack +b
      < C b@1
      refuses C:a@1`,
  },
  {
    it: 'lets a refusal of one type not hold up another',
    talk: `
      world C:a=1 L:x=1
      > C +a
      < C a@1
      > L +x
      < L x@1
      > C nack
      < nothing
      > L ack
      < nothing
      world C:a=1 L:x=2
      < L x@2`,
  },
  {
    it: 'sends a change in the order clusters, endpoints, listeners, routes',
    like: 'AggregatedHandlers',
    talk: `
      world C:a=1 E:a=1 L:x=1 R:x=1
      > R +x
      < R x@1
      > R ack
      < nothing
      > L +x
      < L x@1
      > L ack
      < nothing
      > C +a
      < C a@1
      > C ack
      < nothing
      > E +a
      < E a@1
      > E ack
      < nothing
      world C:a=2 E:a=2 L:x=2 R:x=2
      < C a@2
      < E a@2
      < L x@2
      < R x@2`,
  },
  {
    it: 'holds a type back while one before it has more to say than may be sent',
    talk: `
      world C:a=1 R:x=1
      > C +a
      < C a@1
      > R +x
      < R x@1
      > R ack
      < nothing
      world C:a=2 R:x=2
      < nothing
      > C ack
      < C a@2
      < R x@2`,
  },
  {
    it: 'removes what a change stopped using only when the change is acknowledged',
    talk: `
      world C:old=1 C:new=1 R:x=1
      > C +old +new
      < C old@1 new@1
      > C ack
      < nothing
      > R +x
      < R x@1
      > R ack
      < nothing
      world C:new=1 R:x=2
      < R x@2
      serves 1
      > R ack
      < C -old
      > C ack
      < nothing
      serves 2`,
  },
  {
    it: 'removes routes and listeners before endpoints and clusters',
    talk: `
      world C:a=1 E:a=1 L:x=1 R:x=1
      > C +a held a=1
      < nothing
      > E +a held a=1
      < nothing
      > L +x held x=1
      < nothing
      > R +x held x=1
      < nothing
      serves 1
      world
      < R -x
      > R ack
      < L -x
      > L ack
      < E -a
      > E ack
      < C -a
      > C ack
      < nothing
      serves 2`,
  },
  {
    it: 'keeps a removal back while another change comes between',
    talk: `
      world C:old=1 R:x=1
      > C +old held old=1
      < nothing
      > R +x held x=1
      < nothing
      world R:x=2
      < R x@2
      world R:x=3
      < nothing
      > R ack
      < R x@3
      > R ack
      < C -old`,
  },
  {
    it: 'does not remove what came back before its turn',
    talk: `
      world C:a=1 R:x=1
      > C +a held a=1
      < nothing
      > R +x held x=1
      < nothing
      world R:x=2
      < R x@2
      world C:a=1 R:x=2
      < nothing
      > R ack
      < nothing
      serves 3`,
  },
  {
    it: 'sends what comes back while it is being removed before anything uses it',
    talk: `
      world C:a=1 R:x=1
      > C +a held a=1
      < nothing
      > R +x held x=1
      < nothing
      world R:x=1
      < C -a
      world C:a=1 R:x=2
      < nothing
      > C ack
      < C a@1
      < R x@2`,
  },
  {
    it: 'does not count a revision as served any more of which something is refused that is asked for only now',
    talk: `
      world C:a=1
      > C +* -*
      < nothing
      serves 1
      world C:a=1 C:b=1
      < nothing
      serves 2
      > C +a
      < C a@1
      > C nack
      < nothing
      serves 1`,
  },
  {
    it: 'sends the endpoints of a cluster again after the cluster, though they are the same',
    like: 'shouldSendEdsWhenClusterChangedButEdsVersionDidnt, AdsWarmingClusterIT',
    talk: `
      world C:a=1 E:a=1
      > C +a
      < C a@1
      > C ack
      < nothing
      > E +a
      < E a@1
      > E ack
      < nothing
      world C:a=2 E:a=1
      < C a@2
      < E a@1`,
  },
  {
    it: 'answers endpoints that are asked for before their cluster, and sends them again after it',
    like: 'DeltaEDS',
    talk: `
      world C:a=1 E:a=1
      > E +a
      < E a@1
      > E ack
      < nothing
      > C +a
      < C a@1
      < E a@1`,
  },
  {
    it: 'sends nothing to a client that comes back and holds everything',
    like: 'DeltaReconnectRequests, LinearDeltaInitialResourcesVersionSet',
    announced: 'CELR',
    talk: `
      world C:a=1 E:a=1 L:x=1 R:x=1
      > C +a held a=1
      < nothing
      > E +a held a=1
      < nothing
      > L +x held x=1
      < nothing
      serves nothing
      > R +x held x=1
      < nothing
      serves 1`,
  },
  {
    it: 'sends a client that comes back what has changed and what is gone',
    like: 'DeltaCDSReconnect',
    talk: `
      world C:a=2 C:b=1
      > C +a +b +c held a=1 b=1 c=1
      < C a@2
      > C ack
      < C -c
      > C ack
      < nothing
      serves 1`,
  },
  {
    it: 'sends a client that comes back with a wildcard what has changed and what is gone',
    like: 'DeltaReconnectRequests',
    talk: `
      world C:a=2 C:b=1
      > C held a=1 b=1 c=1
      < C a@2
      > C ack
      < C -c`,
  },
  {
    it: 'takes a nonce of an earlier stream for none',
    like: 'ReconnectRequests',
    talk: `
      world C:a=1
      > C stale +a held a=0
      < C a@1`,
  },
  {
    it: 'leaves a type that nobody here speaks unanswered',
    like: 'DeltaOpaqueRequestsChannelMuxing',
    talk: `
      world C:a=1
      > X +a
      < nothing
      > C +a
      < C a@1`,
  },
  {
    it: 'knows nothing of a client before it has asked for all that it announced',
    announced: 'CL',
    talk: `
      world C:a=1
      serves nothing
      > C +a held a=1
      < nothing
      serves nothing
      > L +* -*
      < nothing
      serves 1`,
  },
  {
    it: 'counts a revision that changes nothing for a client as served',
    talk: `
      world C:a=1
      > C +a
      < C a@1
      > C ack
      < nothing
      world C:a=1 C:b=1
      < nothing
      serves 2`,
  },
  {
    it: 'counts a revision as served when the last of its responses is acknowledged',
    talk: `
      world C:a=1 L:x=1
      > C +a held a=1
      < nothing
      > L +x held x=1
      < nothing
      world C:a=2 L:x=2
      < C a@2
      < L x@2
      > L ack
      < nothing
      serves 1
      > C ack
      < nothing
      serves 2`,
  },
  {
    it: 'works off a backlog of changes and removals for a client that acknowledges late',
    talk: `
      world C:a=1 C:b=1
      > C +a +b
      < C a@1 b@1
      world C:a=2
      < nothing
      world C:a=3
      < nothing
      > C ack
      < C a@3
      > C ack
      < C -b
      > C ack
      < nothing
      serves 3`,
  },
];

describe('a session', () => {
  it.each(rows)('$it', ({ talk, announced = '' }) => {
    const lines = talk.trim().split(/\n\s*/);
    new Dialogue([...announced].map(typeOf)).play(lines);
  });

  it('ends the stream of a client that names no type', () => {
    const session = new Session({ revision: 1, resources: new Map() });
    const request = { type: '', nonce: '', subscribe: [], unsubscribe: [], initialVersions: {} };
    expect(() => session.receive(request, 0)).toThrow(SessionViolation);
  });

  it('ends the stream of a client that asks for too many names', () => {
    const session = new Session({ revision: 1, resources: new Map() });
    const subscribe = Array.from({ length: 50_001 }, (_, index) => `cluster-${index}`);
    const request = { type: TYPES.cluster, nonce: '', subscribe, unsubscribe: [], initialVersions: {} };
    expect(() => session.receive(request, 0)).toThrow(/more than 50000 names/);
  });

  it('tells since when an answer has been due', () => {
    const session = new Session({ revision: 1, resources: new Map() });
    const ask = { nonce: '', subscribe: ['a'], unsubscribe: [], initialVersions: {} };
    expect(session.waitingSince).toBeUndefined();
    session.receive({ ...ask, type: TYPES.listener }, 30);
    const [response] = session.receive({ ...ask, type: TYPES.cluster }, 20);
    expect(session.waitingSince).toBe(20);
    session.receive({ ...ask, subscribe: [], type: TYPES.cluster, nonce: response?.nonce ?? '' }, 40);
    expect(session.waitingSince).toBe(30);
  });
});

const typeOf = (letter: string): TypeUrl => LETTERS[letter] ?? (`type.googleapis.com/${letter}` as TypeUrl);

/** Plays the lines of a dialogue against a session and compares what it says. */
class Dialogue {
  private session: Session | undefined;
  private revision = 0;
  private said: DeltaResponse[] = [];
  private readonly nonces = new Map<string, string>();

  constructor(private readonly announced: readonly TypeUrl[]) {}

  play(lines: readonly string[]): void {
    for (const line of lines) {
      const [word = '', ...rest] = line.split(' ');
      if (word === '<') this.expectSaid(line, rest);
      else if (word === 'serves') expect(String(this.session?.serves ?? 'nothing'), line).toBe(rest[0]);
      else if (word === 'refuses') expect(this.refusals() || 'nothing', line).toBe(rest.join(' '));
      else {
        expect(this.said.map(print), `before "${line}"`).toEqual([]);
        this.said = word === 'world' ? this.publish(rest) : this.request(rest);
      }
    }
    expect(this.said.map(print), 'at the end').toEqual([]);
  }

  private publish(resources: readonly string[]): DeltaResponse[] {
    this.revision += 1;
    const published = worldOf(this.revision, resources);
    if (this.session) return this.session.publish(published, 0);
    this.session = new Session(published, this.announced);
    return [];
  }

  private request([letter = '', ...words]: readonly string[]): DeltaResponse[] {
    const heldAt = words.indexOf('held');
    const held = heldAt < 0 ? [] : words.slice(heldAt + 1);
    const asked = heldAt < 0 ? words : words.slice(0, heldAt);
    const names = (sign: string) => asked.filter((word) => word.startsWith(sign)).map((word) => word.slice(1));
    const [answer] = asked.filter((word) => ['ack', 'nack', 'stale'].includes(word));
    const blamed = asked.slice(asked.indexOf('nack') + 1).filter((word) => /^[a-z]/.test(word));
    const type = typeOf(letter);
    return (
      this.session?.receive(
        {
          type,
          nonce: answer === undefined ? '' : answer === 'stale' ? 'from-before' : (this.nonces.get(type) ?? ''),
          subscribe: names('+'),
          unsubscribe: names('-'),
          initialVersions: Object.fromEntries(held.map((word) => word.split('=') as [string, string])),
          ...(answer === 'nack' && {
            error: {
              message: 'it will not do',
              ...(blamed.length > 0 && { resources: blamed.map((name) => ({ name, reason: 'it will not do' })) }),
            },
          }),
        },
        0,
      ) ?? []
    );
  }

  private expectSaid(line: string, expected: readonly string[]): void {
    if (expected[0] === 'nothing') return expect(this.said.map(print), line).toEqual([]);
    const response = this.said.shift();
    expect(response && print(response), line).toBe(expected.join(' '));
    if (response) this.nonces.set(response.type, response.nonce);
  }

  private refusals(): string {
    return (this.session?.refusals ?? [])
      .map(({ type, name, version }) => `${letterOf(type)}:${name}@${version}`)
      .join(' ');
  }
}

const letterOf = (type: TypeUrl): string => Object.keys(LETTERS).find((letter) => LETTERS[letter] === type) ?? '?';

const print = ({ type, resources, removed }: DeltaResponse): string =>
  [
    letterOf(type),
    ...resources.map(({ name, version }) => `${name}@${version}`),
    ...removed.map((name) => `-${name}`),
  ].join(' ');

function worldOf(revision: number, written: readonly string[]): Published {
  const resources = written.map((text): Resource => {
    const [, letter = '', name = '', version = ''] = /^(\w):([\w-]+)=(\w+)$/.exec(text) ?? [];
    const empty = new Uint8Array();
    return { type: typeOf(letter), name, version, bytes: empty, entry: empty, since: 1, causes: [], inputs: [] };
  });
  const byType = Map.groupBy(resources, ({ type }) => type);
  return {
    revision,
    resources: new Map([...byType].map(([type, all]) => [type, new Map(all.map((one) => [one.name, one]))])),
  };
}
