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
import { describe, expect, it, vi } from 'vitest';
import { ModelTable, type Written } from '../../test/support/model-table.js';
import { TYPES, TYPE_ORDER, type TypeUrl } from '../compile/resource.js';
import { SessionViolation, type DeltaResponse } from './delta.js';
import { Session } from './session.js';

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
      serves 2
      proof C:a@2 refused:C:a
      proof C:a@1 held
      world C:a=2 C:b=1
      < nothing
      serves 3
      world C:a=3
      < C a@3
      refuses C:a@2
      serves 3
      proof C:a@4 pending
      proof C:a@2 refused:C:a
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
    it: 'takes a refusal that names nothing of what was sent for a refusal of all of it',
    talk: `
      world C:a=1 C:b=1
      > C +a +b
      < C a@1 b@1
      > C nack zzz
      < nothing
      refuses C:a@1 C:b@1`,
  },
  {
    it: 'sends what the client still has once more when a refusal is taken back: it may keep at hand what it refused',
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
      < C a@1
      refuses C:a@2
      proof C:a@1 held
      proof C:a@3 pending
      > C ack
      < nothing
      refuses nothing
      proof C:a@3 held
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
      < L -x
      < E -a
      < C -a
      proof C:a@2 pending
      > R ack
      < nothing
      > L ack
      < nothing
      > E ack
      < nothing
      serves 1
      > C ack
      < nothing
      proof C:a@2 held
      serves 2`,
  },
  {
    it: 'removes what went even if the next change is there before what stopped using it is acknowledged',
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
      < C -old
      serves 1
      > C ack
      < R x@3
      serves 2
      > R ack
      < nothing
      serves 3`,
  },
  {
    it: 'does not remove in one round what went only after that had begun',
    talk: `
      world C:old=1 R:x=1
      > C +old held old=1
      < nothing
      > R +x held x=1
      < nothing
      world C:old=1 R:x=2
      < R x@2
      world R:x=3
      < nothing
      > R ack
      < R x@3
      > R ack
      < C -old`,
  },
  {
    it: 'sends each route as it was when its clusters were sent, however the world has moved on since',
    talk: `
      world C:a=1 C:b=1 R:x=1
      > C +a +b held a=1 b=1
      < nothing
      > R +x held x=1
      < nothing
      world C:a=2/40000 C:b=2/40000 R:x=2
      < C a@2
      world C:a=2/40000 C:b=2/40000 C:new=1 R:x=new
      < nothing
      > C ack
      < C b@2
      < R x@2
      > R ack
      < nothing
      > C ack
      < R x@new`,
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
    it: 'takes back no proof of the rest when something is refused that is asked for only now',
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
      proof C:a@1 pending
      > C nack
      < nothing
      serves 2
      proof C:a@1 refused:C:a
      proof C:b@2 unwanted`,
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
  {
    it: 'sends again what goes back to what the client has, when another one is about to be sent',
    talk: `
      world R:b=1
      > R +b
      < R b@1
      > C +c
      < C -c
      world C:c=1 R:b=2
      < nothing
      > R ack
      < nothing
      world C:c=1 R:b=1
      < nothing
      > C ack
      < C c@1
      < R b@2
      > R ack
      < nothing
      > C ack
      < R b@1`,
  },
  {
    it: 'proves every change within two rounds, though the world changes before every answer',
    talk: `
      world C:a=1 C:old=1
      > C +a +old held a=1 old=1
      < nothing
      serves 1
      world C:a=2 C:old=1
      < C a@2
      world C:a=3
      < nothing
      > C ack
      < C a@3
      serves 2
      world C:a=4
      < nothing
      > C ack
      < C -old
      serves 2
      proof C:a@3 held
      proof C:old@3 pending
      world C:a=5
      < nothing
      > C ack
      < C a@5
      serves 3
      proof C:old@3 held
      world C:a=6
      < nothing
      > C ack
      < C a@6
      serves 5`,
  },
  {
    it: 'counts a refusal against the change that caused it, and against no other',
    talk: `
      world C:a=1 C:b=1
      > C +a +b
      < C a@1 b@1
      > C ack
      < nothing
      world C:a=2 C:b=1
      < C a@2
      > C nack
      < nothing
      world C:a=2 C:b=2
      < C b@2
      > C ack
      < nothing
      serves 3
      proof C:a@1 held
      proof C:a@2 refused:C:a
      proof C:a@3 refused:C:a
      proof C:b@3 held`,
  },
  {
    it: 'asks again what was refused when something that it leads to is mended',
    talk: `
      world C:b=bad R:r=1
      > C +b
      < C b@bad
      > C nack
      < nothing
      > R +r
      < R r@1
      > R nack
      < nothing
      refuses C:b@bad R:r@1
      world C:b=good R:r=1
      < C b@good
      > C ack
      < R r@1
      > R ack
      < nothing
      refuses nothing`,
  },
  {
    it: 'asks again what was refused when a cluster that it leads to has changed, and not because of endpoints that are held',
    talk: `
      world C:b=1 E:b=1 R:r=1
      > C +b
      < C b@1
      > C ack
      < nothing
      > E +b
      < E b@1
      > E ack
      < nothing
      > R +r
      < R r@1
      > R nack
      < nothing
      world C:b=1 E:b=2 R:r=1
      < E b@2
      > E ack
      < nothing
      world C:b=2 E:b=2 R:r=1
      < C b@2
      < E b@2
      > C ack
      < R r@1
      > E ack
      < nothing
      > R nack
      < nothing`,
  },
  {
    it: 'answers what a client asks for while its answer to a route may wait for it',
    like: 'the sidecar: a route table is acknowledged when its backends are known',
    talk: `
      world C:a=1 C:b=1 E:b=1 R:r=toA
      > C +a
      < C a@1
      > C ack
      < nothing
      > R +r
      < R r@toA
      > R ack
      < nothing
      world C:a=1 C:b=1 E:b=1 R:r=toB
      < R r@toB
      world C:a=2 C:b=1 E:b=1 R:r=toB
      < nothing
      > C +b
      < C b@1
      > E +b
      < E b@1
      > C ack
      < nothing
      > E ack
      < nothing
      > R ack
      < C a@2`,
  },
  {
    it: 'sends what is new of a cluster before the endpoints that are asked for, even while a route waits for them',
    talk: `
      world C:a=1 C:b=1 E:b=1 R:r=toA
      > C +a +b
      < C a@1 b@1
      > C ack
      < nothing
      > R +r
      < R r@toA
      > R ack
      < nothing
      world C:a=1 C:b=1 E:b=1 R:r=toB
      < R r@toB
      world C:a=2 C:b=2 E:b=2 R:r=toB
      < nothing
      > E +b
      < C b@2
      < E b@2
      > E ack
      < nothing
      > R ack
      < nothing
      > C ack
      < C a@2`,
  },
  {
    it: 'does not let a client that keeps asking put off what it is to be told',
    talk: `
      world C:a=1 L:x=1 C:b=1 C:c=1 C:d=1
      > C +a held a=1
      < nothing
      > L +x held x=1
      < nothing
      world C:a=2 L:x=2 C:b=1 C:c=1 C:d=1
      < C a@2
      < L x@2
      > C ack +b
      < C b@1
      > L ack
      < nothing
      serves 2
      world C:a=3 L:x=2 C:b=1 C:c=1 C:d=1
      < nothing
      > C +c
      < nothing
      > C ack +d
      < C a@3
      > C ack
      < C c@1 d@1
      serves 3`,
  },
  {
    it: 'sends no more at a time than a client that does not read may hold up',
    talk: `
      world C:a=1/40000 C:b=1/20000 C:c=1/20000 C:d=1/90000 C:e=1
      > C
      < C a@1 b@1
      > C ack
      < C c@1
      > C ack
      < C d@1
      > C ack
      < C e@1
      > C ack
      < nothing
      serves 1`,
  },
  {
    it: 'takes nothing away from a client that comes back before it knows what that wants',
    announced: 'CR',
    talk: `
      world C:new=1 R:x=toNew
      > C +old held old=1
      < nothing
      > R +x held x=toOld
      < R x@toNew
      > R ack
      < C -old`,
  },
  {
    it: 'does not take a client for up to date that turns out to hold something older of another type',
    talk: `
      world C:a=1 E:a=1
      world C:a=2 E:a=2
      > C +a held a=2
      < nothing
      serves 2
      > E +a held a=1
      < E a@2
      serves nothing
      proof E:a@2 pending
      > E ack
      < nothing
      serves 2
      proof E:a@2 held`,
  },
  {
    it: 'does not take a client for up to date at the end of a round in which it turned out to hold something older',
    talk: `
      world C:a=1 E:a=1
      world C:a=2 E:a=2
      > C +a held a=1
      < C a@2
      > E +a held a=1
      < nothing
      > C ack
      < E a@2
      serves nothing
      proof E:a@2 pending
      > E ack
      < nothing
      serves 2
      proof E:a@2 held`,
  },
  {
    it: 'says that a resource is gone which the client had refused and nothing came before',
    talk: `
      world C:a=1
      > C +a
      < C a@1
      world
      < nothing
      > C nack
      < C -a
      > C ack
      < nothing
      refuses nothing
      proof C:a@2 held`,
  },
  {
    it: 'takes away what went while it was on its way',
    talk: `
      world C:a=1
      > C +a
      < C a@1
      world
      < nothing
      proof C:a@2 pending
      > C ack
      < C -a
      proof C:a@2 pending
      > C ack
      < nothing
      proof C:a@2 held
      serves 2`,
  },
  {
    it: 'names the refusal because of which what went is still in force',
    talk: `
      world C:a=1 R:r=toA
      > C +a
      < C a@1
      > C ack
      < nothing
      > R +r
      < R r@toA
      > R ack
      < nothing
      world R:r=broken
      < R r@broken
      > R nack
      < nothing
      serves 2
      proof C:a@2 refused:R:r
      proof R:r@2 refused:R:r`,
  },
  {
    it: 'takes what a client would not give up for what it still has, and asks for it no more on this stream',
    talk: `
      world C:a=1 C:b=1
      > C +a +b
      < C a@1 b@1
      > C ack
      < nothing
      world C:b=1
      < C -a
      > C nack
      < nothing
      refuses C:a@
      proof C:a@1 held
      proof C:a@2 refused:C:a
      serves 2
      world C:b=2
      < C b@2
      > C ack
      < nothing
      proof C:a@3 refused:C:a
      proof C:b@3 held
      serves 3`,
  },
  {
    it: 'heeds the names that come with a refusal to give up, and tells of the others that they are gone',
    talk: `
      world C:a=1 C:b=1
      > C +a +b
      < C a@1 b@1
      > C ack
      < nothing
      world
      < C -a -b
      > C nack b
      < nothing
      refuses C:b@
      proof C:a@2 held
      proof C:b@2 refused:C:b`,
  },
  {
    it: 'sends what is there again to a client that would not give it up, even if it is the same',
    talk: `
      world C:a=1
      > C +a
      < C a@1
      > C ack
      < nothing
      world
      < C -a
      > C nack
      < nothing
      world C:a=1
      < C a@1
      refuses nothing
      proof C:a@3 pending
      > C ack
      < nothing
      refuses nothing
      proof C:a@3 held
      world
      < C -a
      > C ack
      < nothing
      proof C:a@4 held`,
  },
  {
    it: 'blames no refusal to give up on what was there again by the time it came',
    talk: `
      world C:a=1
      > C +a
      < C a@1
      > C ack
      < nothing
      world
      < C -a
      world C:a=2
      < nothing
      > C nack
      < C a@2
      refuses nothing
      > C ack
      < nothing
      proof C:a@3 held
      serves 3`,
  },
  {
    it: 'keeps what something leads to that the client would not give up',
    talk: `
      world C:a=1 R:r=toA
      > C +a
      < C a@1
      > C ack
      < nothing
      > R +r
      < R r@toA
      > R ack
      < nothing
      world C:a=1
      < R -r
      > R nack
      < nothing
      world
      < nothing
      proof R:r@2 refused:R:r
      proof C:a@3 refused:R:r
      serves 3`,
  },
  {
    it: 'takes a refusal of the word that there is nothing for no refusal: there is nothing to keep',
    talk: `
      world
      > C +a
      < C -a
      > C nack
      < nothing
      refuses nothing
      proof C:a@1 held`,
  },
  {
    it: 'takes away what a route that stays in force for a refusal does not lead to, and blames that on nobody',
    talk: `
      world C:a=1 C:b=1 E:b=1 R:r=toA
      > C +a +b
      < C a@1 b@1
      > C ack
      < nothing
      > E +b
      < E b@1
      > E ack
      < nothing
      > R +r
      < R r@toA
      > R ack
      < nothing
      world C:a=1 C:b=1 E:b=1 R:r=broken
      < R r@broken
      > R nack
      < nothing
      world C:a=1 R:r=broken
      < E -b
      < C -b
      proof C:b@3 pending
      > E ack
      < nothing
      > C ack
      < nothing
      proof C:b@3 held
      serves 3`,
  },
  {
    it: 'keeps nothing because of a refusal that left nothing in force',
    talk: `
      world C:a=1 R:r=broken
      > C +a
      < C a@1
      > C ack
      < nothing
      > R +r
      < R r@broken
      > R nack
      < nothing
      world R:r=broken
      < C -a`,
  },
];

describe('a session', () => {
  it.each(rows)('$it', ({ talk, announced = '' }) => {
    const lines = talk.trim().split(/\n\s*/);
    new Dialogue([...announced].map(typeOf)).play(lines);
  });

  it('ends the stream of a client that names no type', () => {
    const session = new Session(new ModelTable());
    const request = { type: '', nonce: '', subscribe: [], unsubscribe: [], initialVersions: {} };
    expect(() => session.receive(request, 0)).toThrow(SessionViolation);
  });

  it('ends the stream of a client that asks for too many names', () => {
    const session = new Session(new ModelTable());
    const subscribe = Array.from({ length: 50_001 }, (_, index) => `cluster-${index}`);
    const request = { type: TYPES.cluster, nonce: '', subscribe, unsubscribe: [], initialVersions: {} };
    expect(() => session.receive(request, 0)).toThrow(/more than 50000 names/);
  });

  it('does not take a client for up to date that has still to be told what is new', () => {
    const table = new ModelTable();
    const session = new Session(table);
    table.tell(table.become([{ type: TYPES.cluster, name: 'a', version: '1' }]));
    const ask = { type: TYPES.cluster, nonce: '', subscribe: ['a'], unsubscribe: [], initialVersions: { a: '1' } };
    expect(session.receive(ask, 0)).toEqual([]);
    expect(session.serves).toBe(1);
    table.tell(table.become([{ type: TYPES.cluster, name: 'a', version: '2' }]));
    expect(session.serves).toBe(1);
    expect(session.speak(0)).toHaveLength(1);
    expect(session.serves).toBe(1);
  });

  it('does not look through what waits for an answer whenever the client says something else', () => {
    const session = new Session(new ModelTable());
    const ask = { nonce: '', subscribe: [], unsubscribe: [], initialVersions: {} };
    session.receive({ ...ask, type: TYPES.endpoints, subscribe: ['first'] }, 0);
    const subscribe = Array.from({ length: 100 }, (_, index) => `endpoints-${index}`);
    session.receive({ ...ask, type: TYPES.endpoints, subscribe }, 0);
    session.receive({ ...ask, type: TYPES.listener, subscribe: ['a'] }, 0);
    const { news } = session.client.stateOf(TYPES.endpoints);
    expect(news.size).toBe(100);
    const looks = [vi.spyOn(news, Symbol.iterator), vi.spyOn(news, 'entries'), vi.spyOn(news, 'keys')];
    for (const type of TYPE_ORDER) session.receive({ ...ask, type, nonce: 'stale', subscribe: ['b'] }, 0);
    for (const look of looks) expect(look).not.toHaveBeenCalled();
  });

  it('does not look through all that it keeps whenever the client says something', () => {
    const table = new ModelTable();
    const session = new Session(table);
    const ask = { nonce: '', subscribe: [], unsubscribe: [], initialVersions: {} };
    table.tell(table.become([{ type: TYPES.route, name: 'r', version: 'new' }]));
    const names = Array.from({ length: 100 }, (_, index) => `cluster-${index}`);
    const initialVersions = Object.fromEntries(names.map((name) => [name, 'old']));
    const [route] = session.receive({ ...ask, type: TYPES.route, subscribe: ['r'], initialVersions: { r: 'old' } }, 0);
    session.receive({ ...ask, type: TYPES.route, nonce: route?.nonce ?? '', error: { message: 'no' } }, 0);
    expect(session.receive({ ...ask, type: TYPES.cluster, subscribe: names, initialVersions }, 0)).toEqual([]);
    const { gone } = session.client.stateOf(TYPES.cluster);
    expect(gone.size).toBe(100);
    const looks = [vi.spyOn(gone, Symbol.iterator), vi.spyOn(gone, 'entries'), vi.spyOn(gone, 'keys')];
    for (const type of TYPE_ORDER) session.receive({ ...ask, type, nonce: 'stale' }, 0);
    for (const look of looks) expect(look).not.toHaveBeenCalled();
  });

  it('ends the stream of a client that asks for a name that is none, or for too many bytes of names', () => {
    const session = new Session(new ModelTable());
    const ask = { type: TYPES.route, nonce: '', unsubscribe: [], initialVersions: {} };
    expect(() => session.receive({ ...ask, subscribe: ['n'.repeat(513)] }, 0)).toThrow('longer than 512');
    const long = Array.from({ length: 20_000 }, (_, index) => `${index}`.padStart(500, '-'));
    expect(() => session.receive({ ...ask, subscribe: long }, 0)).toThrow('bytes of names');
    // What it gives up makes room.
    const other = new Session(new ModelTable());
    for (let turn = 0; turn < 20; turn += 1) {
      const some = long.slice(turn * 1_000, (turn + 1) * 1_000);
      other.receive({ ...ask, subscribe: some }, 0);
      other.receive({ ...ask, subscribe: [], unsubscribe: some }, 0);
    }
  });

  it('keeps little of what a client says of a refusal, and nothing of a version that cannot be one', () => {
    const table = new ModelTable();
    table.become([{ type: TYPES.route, name: 'r', version: 'new' }]);
    const session = new Session(table);
    const ask = {
      type: TYPES.route,
      nonce: '',
      subscribe: ['r'],
      unsubscribe: [],
      initialVersions: { r: 'v'.repeat(1_000) },
    };
    const [response] = session.receive(ask, 0);
    expect(session.client.stateOf(TYPES.route).subscription.held('r')?.version).toBe('');
    const nack = { ...ask, nonce: response?.nonce ?? '', subscribe: [], initialVersions: {} };
    session.receive({ ...nack, error: { message: 'x'.repeat(100_000) } }, 0);
    expect(session.client.refusals.map(({ reason }) => reason.length)).toEqual([1_000]);
  });

  it('is remembered, when its client is away, without a heap of names that nothing has', () => {
    const table = new ModelTable();
    table.become([{ type: TYPES.route, name: 'r', version: 'new' }]);
    const session = new Session(table);
    const many = Array.from({ length: 2_000 }, (_, index) => `${index}`.padStart(500, '-'));
    session.receive(
      { type: TYPES.route, nonce: '', subscribe: ['r', ...many], unsubscribe: [], initialVersions: {} },
      0,
    );
    session.close();
    expect([...session.client.stateOf(TYPES.route).subscription.names()]).toEqual(['r']);
    expect(session.client.stateOf(TYPES.route).news.size).toBeLessThan(2);
  });

  it('tells since when an answer has been due', () => {
    const session = new Session(new ModelTable());
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
  private readonly world = new ModelTable();
  private readonly session: Session;
  private said: DeltaResponse[] = [];
  private readonly nonces = new Map<string, string>();

  constructor(announced: readonly TypeUrl[]) {
    this.session = new Session(this.world, announced);
  }

  play(lines: readonly string[]): void {
    for (const line of lines) {
      const [word = '', ...rest] = line.split(' ');
      if (word === '<') this.expectSaid(line, rest);
      else if (word === 'serves') expect(String(this.session.serves ?? 'nothing'), line).toBe(rest[0]);
      else if (word === 'refuses') expect(this.refusals() || 'nothing', line).toBe(rest.join(' '));
      else if (word === 'proof') expect(this.proof(rest[0] ?? ''), line).toBe(rest[1]);
      else {
        expect(this.said.map(print), `before "${line}"`).toEqual([]);
        this.said = word === 'world' ? this.publish(rest) : this.request(rest);
      }
    }
    expect(this.said.map(print), 'at the end').toEqual([]);
  }

  private publish(resources: readonly string[]): DeltaResponse[] {
    const concerned = this.world.tell(this.world.become(resources.map(written)));
    return concerned.has(this.session) ? this.session.speak(0) : [];
  }

  private request([letter = '', ...words]: readonly string[]): DeltaResponse[] {
    const heldAt = words.indexOf('held');
    const held = heldAt < 0 ? [] : words.slice(heldAt + 1);
    const asked = heldAt < 0 ? words : words.slice(0, heldAt);
    const names = (sign: string) => asked.filter((word) => word.startsWith(sign)).map((word) => word.slice(1));
    const [answer] = asked.filter((word) => ['ack', 'nack', 'stale'].includes(word));
    const blamed = asked.slice(asked.indexOf('nack') + 1).filter((word) => /^[a-z]/.test(word));
    const type = typeOf(letter);
    return this.session.receive(
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
    );
  }

  private expectSaid(line: string, expected: readonly string[]): void {
    if (expected[0] === 'nothing') return expect(this.said.map(print), line).toEqual([]);
    const response = this.said.shift();
    expect(response && print(response), line).toBe(expected.join(' '));
    if (response) this.nonces.set(response.type, response.nonce);
  }

  private refusals(): string {
    return this.session.client.refusals
      .map(({ type, name, version }) => `${letterOf(type)}:${name}@${version}`)
      .join(' ');
  }

  /** `C:a@7`: what became of cluster a at sequence 7. */
  private proof(text: string): string {
    const [, letter = '', name = '', sequence] = /^(\w):([\w-]+)@(\d+)$/.exec(text) ?? [];
    const proof = this.session.client.proof(typeOf(letter), name, Number(sequence));
    return typeof proof === 'string' ? proof : `refused:${letterOf(proof.type)}:${proof.name}`;
  }
}

const letterOf = (type: TypeUrl): string => Object.keys(LETTERS).find((letter) => LETTERS[letter] === type) ?? '?';

const print = ({ type, resources, removed }: DeltaResponse): string =>
  [
    letterOf(type),
    ...resources.map(({ name, version }) => `${name}@${version}`),
    ...removed.map((name) => `-${name}`),
  ].join(' ');

/** `C:a=1`, or `C:a=1/40000` for one of so many bytes; a route `R:r=toB` leads to cluster b. */
function written(text: string): Written {
  const [, letter = '', name = '', version = '', size = '0'] = /^(\w):([\w-]+)=(\w+)(?:\/(\d+))?$/.exec(text) ?? [];
  const target = /^to([A-Z]\w*)$/.exec(version)?.[1]?.toLowerCase();
  return { type: typeOf(letter), name, version, size: Number(size), ...(target && { leadsTo: [target] }) };
}
