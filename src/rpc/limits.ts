/** How much one port of the sidecars takes, and how much of it from one caller. */

const KIB = 1_024;
const MIB = 1_024 * KIB;

export interface Limits {
  /** The largest message. */
  readonly messageBytes: number;
  /** What may be held of unfinished messages, of one connection and of all. */
  readonly connectionBytes: number;
  readonly portBytes: number;
  /** What may wait to be sent on one stream before a further message ends it. */
  readonly unsentBytes: number;
  /** Calls at the same time on one connection. */
  readonly callsPerConnection: number;
  /** Connections of those who have proven nothing: of all, and of one address. */
  readonly strangers: number;
  readonly strangersPerAddress: number;
  /** How many connections may come from one network at once, and how long one takes to come back, in milliseconds. Absent: any. */
  readonly arrivals?: { readonly burst: number; readonly everyMs: number };
  /** Connections of sidecars: of all, and of one. */
  readonly members: number;
  readonly connectionsPerMember: number;
  /** How long a TLS handshake may take. */
  readonly handshakeMs: number;
  /** How long a request may take to arrive: a whole one, the first of a stream, or the rest of one that has begun. */
  readonly requestMs: number;
  /** How long a connection may stay without a call. */
  readonly idleMs: number;
  /** How old a connection may become; chance takes up to a tenth off, so that a fleet does not come back at once. */
  readonly ageMs: number;
}

/** The port of those who have no certificate yet: a join is less than a kilobyte and takes less than a second. */
export const joinLimits = (openFiles: number): Limits => ({
  messageBytes: 16 * KIB,
  connectionBytes: 64 * KIB,
  portBytes: 8 * MIB,
  unsentBytes: 64 * KIB,
  callsPerConnection: 4,
  strangers: share(openFiles, 0.1, 1_024),
  strangersPerAddress: share(openFiles, 0.05, 512),
  arrivals: { burst: 4_096, everyMs: 20 },
  members: 0,
  connectionsPerMember: 0,
  handshakeMs: 10_000,
  requestMs: 10_000,
  idleMs: 10_000,
  ageMs: 60_000,
});

/** The port of the sidecars. Whoever is still to prove that it is one has no more than a stranger has elsewhere. */
export const memberLimits = (openFiles: number): Limits => ({
  messageBytes: 4 * MIB,
  connectionBytes: 8 * MIB,
  portBytes: 128 * MIB,
  unsentBytes: 8 * MIB,
  callsPerConnection: 32,
  strangers: share(openFiles, 0.1, 2_048),
  strangersPerAddress: share(openFiles, 0.1, 2_048),
  members: share(openFiles, 0.5, 32_768),
  connectionsPerMember: 8,
  handshakeMs: 10_000,
  requestMs: 10_000,
  idleMs: 300_000,
  ageMs: 4 * 3_600_000,
});

/**
 * A part of the files that this process may have open, but no more than `most`. All parts together leave a quarter to
 * operators, the database and whatever else there is.
 */
const share = (openFiles: number, part: number, most: number): number =>
  Math.max(8, Math.min(most, Math.floor(openFiles * part)));

/** How many files this process may have open. */
export function openFileLimit(): number {
  const report = process.report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } };
  const soft = Number(report.userLimits?.open_files?.soft);
  return Number.isFinite(soft) ? soft : 65_536;
}
