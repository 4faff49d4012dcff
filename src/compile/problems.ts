/** Says what keeps an object from having the effect that it seems to have: what it names and is not there, and whom it loses to. */
import type { AuthorizationPolicy, Rule, Source } from '../model/authorization-policy.js';
import { keyOf, refOf, type Ref } from '../model/document.js';
import { isBytes, type Protocol, type Service, type ServicePort } from '../model/service.js';
import type { TrafficSplit } from '../model/traffic-split.js';
import { rulesAskingOfRequests } from './bytes-rules.js';
import { askedFor } from './identities.js';
import type { Outbound } from './outbound.js';
import { portsNamed } from './port-rules.js';
import type { Covered } from './reach.js';
import { apexOf, type Relations } from './relations.js';

/** The object's status shows it. */
export interface Problem {
  readonly ref: Ref;
  /** The condition that it speaks to. */
  readonly condition: 'Accepted' | 'ResolvedRefs' | 'Programmed';
  /**
   * What the object does all the same. None: nothing, as the mesh stands. Partial: something else than it says. Full:
   * all that it says, which may not be what was meant: a warning, that makes no condition false.
   */
  readonly effect: 'None' | 'Partial' | 'Full';
  /** One word for machines. */
  readonly reason: string;
  /** One sentence for people. */
  readonly message: string;
}

/** A problem before it is said whose it is. */
type Finding = Omit<Problem, 'ref'>;

const unresolved = (effect: Problem['effect'], reason: string, message: string): Finding => ({
  condition: 'ResolvedRefs',
  effect,
  reason,
  message,
});

/** Ports that lead nowhere, although somebody stands behind the service. Where nobody does, that is no slip of the pen. */
export function serviceProblems(service: Service, outbounds: readonly Outbound[]): Problem[] {
  const ref = refOf(service);
  const lost = outbounds.filter(({ workloads, behind }) => behind > 0 && workloads.length === 0);
  const effect = lost.length === outbounds.length ? 'None' : 'Partial';
  return outbounds.flatMap(({ port, workloads, behind, contested }) => {
    const without = behind - workloads.length - (contested?.workloads ?? 0);
    // A target that is named may be that of some; where none is, those whose ports could all be meant are called at none.
    const isLost = without === behind || port.targetPort === undefined;
    const message = without === behind ? lostMessage(port) : ambiguousMessage(port, without, behind);
    return [
      ...(contested ? [{ ref, ...unresolved(effect, 'ProtocolConflict', contestedMessage(port, contested)) }] : []),
      ...(without > 0 && isLost ? [{ ref, ...unresolved(effect, 'TargetPortNotFound', message) }] : []),
    ];
  });
}

function contestedMessage(
  { port, protocol }: ServicePort,
  { workloads, by }: NonNullable<Outbound['contested']>,
): string {
  const whose = workloads === 1 ? 'a workload is' : `${workloads} workloads are`;
  return (
    `${whose} called at the target of port ${port} by service "${by.metadata.name}" for requests, which hold there, for else paths` +
    ` would go unjudged: calls to port ${port} find no endpoint at them until both say ${protocol}`
  );
}

const ambiguousMessage = ({ port }: ServicePort, without: number, behind: number): string =>
  `workloads with several ports and none of the number ${port} get no calls to port ${port} (${without} of the ${behind} behind it): name a targetPort`;

function lostMessage({ port, targetPort }: ServicePort): string {
  const lost = `calls to port ${port} find no endpoint`;
  if (targetPort === undefined) {
    return `every workload behind it has several ports and none of the number ${port}: name a targetPort; until then ${lost}`;
  }
  return `no workload behind it has a port ${typeof targetPort === 'string' ? `"${targetPort}"` : targetPort}; ${lost}`;
}

export function splitProblems(split: TrafficSplit, relations: Relations): Problem[] {
  const ref = refOf(split);
  return [...eclipse(split, relations), ...backendFindings(split, relations)].map((finding) => ({ ref, ...finding }));
}

function eclipse(split: TrafficSplit, relations: Relations): Finding[] {
  const [decides] = relations.splitsOf(apexOf(split));
  if (!decides || decides === split) return [];
  const message = `TrafficSplit ${keyOf(decides.metadata)} splits service "${split.spec.service}" already and is older`;
  return [{ condition: 'Accepted', effect: 'None', reason: 'Conflicted', message }];
}

function backendFindings({ metadata: { namespace }, spec }: TrafficSplit, relations: Relations): Finding[] {
  const apex = relations.service(namespace, spec.service);
  if (!apex) return [unresolved('None', 'ServiceNotFound', `there is no service "${spec.service}" to split`)];
  return spec.backends.flatMap(({ service: name }) => {
    const backend = relations.service(namespace, name);
    if (!backend) {
      const message = `there is no service "${name}"; its share is answered with 500`;
      return [unresolved('Partial', 'BackendNotFound', message)];
    }
    return apex.spec.ports.flatMap(({ port, protocol }) => {
      const other = backend.spec.ports.find((one) => one.port === port);
      if (!other) {
        const message = `service "${name}" has no port ${port}; its share there is ${lostShare(protocol)}`;
        return [unresolved('Partial', 'BackendPortNotFound', message)];
      }
      if (isBytes(other.protocol) === isBytes(protocol)) return [];
      const message = `port ${port} is ${other.protocol} of service "${name}" and ${protocol} of "${spec.service}"; its share there is ${lostShare(protocol)}`;
      return [unresolved('Partial', 'BackendProtocolDiffers', message)];
    });
  });
}

const lostShare = (protocol: Protocol): string => (isBytes(protocol) ? 'closed' : 'answered with 500');

export function policyProblems(policy: AuthorizationPolicy, relations: Relations, covered: Covered): Problem[] {
  const ref = refOf(policy);
  const findings = [
    ...targetFindings(policy, relations),
    ...coverageFindings(policy, covered),
    ...portFindings(policy, covered),
    ...bytesFindings(policy, covered),
    ...callerFindings(policy, relations),
  ];
  return findings.map((finding) => ({ ref, ...finding }));
}

function targetFindings({ metadata, spec: { target } }: AuthorizationPolicy, relations: Relations) {
  if (!('service' in target) || relations.service(metadata.namespace, target.service)) return [];
  const meant = metadata.protects ? 'that it had when it was deleted' : 'that are labelled for it';
  const message =
    `there is no service "${target.service}"; until there is, this policy protects the workloads of its namespace` +
    ` ${meant}, and closes others that could belong to it`;
  return [unresolved('Partial', 'ServiceNotFound', message)];
}

function coverageFindings({ spec: { target } }: AuthorizationPolicy, { guarded, bare }: Covered): Finding[] {
  if (guarded > 0 && bare > 0) {
    const message = 'some workloads that it protects have no sidecar, which alone could enforce it';
    return [{ condition: 'Programmed', effect: 'Partial', reason: 'NoSidecar', message }];
  }
  if (guarded > 0) return [];
  const none = { condition: 'Programmed', effect: 'None' } as const;
  if (bare > 0) {
    const message = 'no workload that it protects has a sidecar, which alone could enforce it';
    return [{ ...none, reason: 'NoSidecar', message }];
  }
  const whom = 'labels' in target ? 'with these labels' : 'service' in target ? 'behind that service' : 'there';
  return [{ ...none, reason: 'NoMatchingWorkload', message: `it protects nothing: no workload ${whom} can be called` }];
}

/** A rule for ports that nobody has is one for nothing. */
function portFindings(policy: AuthorizationPolicy, { guarded, bare, ports }: Covered): Finding[] {
  if (guarded + bare === 0) return [];
  const nobodys = [...portsNamed(policy)].filter((port) => !ports.has(port)).sort((a, b) => a - b);
  if (nobodys.length === 0) return [];
  const more = nobodys.length > NAMED ? ` or ${nobodys.length - NAMED} more that it names` : '';
  const message = `no workload that it protects has a port ${nobodys.slice(0, NAMED).join(' or ')}${more}`;
  // An Allow policy closes what it protects, whomever it lets in.
  const isIdle = policy.spec.action === 'Deny' && policy.spec.rules.every((rule) => !isFor(rule, ports));
  return [unresolved(isIdle ? 'None' : 'Partial', 'PortNotFound', message)];
}

/** Whether a rule speaks of any of these ports. */
const isFor = ({ to }: Rule, ports: Pick<ReadonlySet<number>, 'has'>): boolean =>
  !to || to.some((operation) => !operation.ports || operation.ports.some((port) => ports.has(port)));

/** Of bytes nobody knows a method or a path. */
function bytesFindings(policy: AuthorizationPolicy, { bytes }: Covered): Finding[] {
  const rules = rulesAskingOfRequests(
    policy,
    [...bytes.keys()].sort((a, b) => a - b),
  );
  if (rules.length === 0) return [];
  const ports = [...new Set(rules.flatMap((rule) => rule.ports))].sort((a, b) => a - b);
  const few = (some: readonly number[], word: string): string =>
    `${word}${some.length > 1 ? 's' : ''} ${some.slice(0, NAMED).join(', ')}${some.length > NAMED ? ' and more' : ''}`;
  const which = few(
    rules.map(({ index }) => index),
    'rule',
  );
  const what = policy.spec.action === 'Allow' ? 'that allows nothing there' : 'that is left out there, and denies more';
  const message = `${which} (counted from 0) of methods or paths, and bytes pass at ${few(ports, 'port')}: ${what}`;
  return [{ condition: 'Programmed', effect: 'Partial', reason: 'PortCarriesBytes', message }];
}

/** Callers and ports that are named in a message; a policy may name thousands. */
const NAMED = 5;

/** For who wrote a Deny with a slip of the pen, this is the only way to notice. */
function callerFindings({ spec }: AuthorizationPolicy, relations: Relations): Finding[] {
  const nobody = spec.rules
    .flatMap(({ from }) => from)
    .filter((source) => {
      const asked = askedFor(source, relations.mesh.trustDomain);
      return asked !== undefined && !relations.someoneIs(asked);
    });
  if (nobody.length === 0) return [];
  const named = [...new Set(nobody.map(printSource))];
  const more = named.length > NAMED ? ` or ${named.length - NAMED} more that it names` : '';
  const message = `no workload of the mesh is ${named.slice(0, NAMED).join(' or ')}${more}`;
  return [unresolved('Full', 'CallerNotFound', message)];
}

function printSource(source: Source): string {
  if ('anyone' in source) return source.anyone;
  return 'namespace' in source ? `in namespace "${source.namespace}"` : source.identity;
}
