/** Opens what the server works with, in the order in which each part needs the one before. */
import { chmodSync, existsSync, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import type { Logger } from 'pino';
import type { Core } from './app.module.js';
import { Presence } from './discovery/presence.js';
import { Registration } from './discovery/registration.js';
import { Authority } from './identity/authority.js';
import { Enrolment } from './identity/enrolment.js';
import { ServerCertificate } from './identity/server-certificate.js';
import { INITIAL_SETTINGS, MESH_SETTINGS_NAME } from './model/mesh-settings.js';
import { keyOf } from './model/document.js';
import { SERVER } from './model/revision.js';
import type { Settings } from './settings.js';
import { ApiTokenStore } from './store/api-token-store.js';
import { Database } from './store/database.js';
import { EnrolmentStore } from './store/enrolment-store.js';
import { MeshStore } from './store/mesh-store.js';
import { AdsService } from './stream/ads.js';
import { Fleet } from './stream/fleet.js';
import { GrpcPort, GrpcRefusal } from './stream/grpc.js';
import { Publisher } from './stream/publisher.js';
import { Receipts } from './stream/receipts.js';

/** The files that people and sidecars look for in the data directory. */
export const filesOf = (dataDir: string) => ({
  database: join(dataDir, 'sluice.db'),
  authority: join(dataDir, 'authority'),
  trustAnchors: join(dataDir, 'trust-anchors.pem'),
  adminToken: join(dataDir, 'admin.token'),
});

export interface OpenCore extends Core {
  readonly certificate: ServerCertificate;
  /** Opens the ports of the sidecars and gives their numbers. */
  listen(): Promise<{ readonly xds: number; readonly join: number }>;
  close(): Promise<void>;
}

export async function openCore(settings: Settings, log: Logger): Promise<OpenCore> {
  // Whatever is written from here on, the files of the database among it, is nobody else's to read unless that is said.
  process.umask(0o077);
  makeDirectory(settings.dataDir);
  const files = filesOf(settings.dataDir);
  // The database first: it keeps a second server out, which would make an authority of its own.
  const database = await Database.open(files.database);
  const authority = await Authority.open(files.authority, settings.trustDomain);
  write(files.trustAnchors, authority.anchorsPem, 0o644);
  const store = await MeshStore.open(database, settings.trustDomain);
  const tokens = new ApiTokenStore(database);
  const enrolments = new EnrolmentStore(database);
  await writeFirst(store, tokens, files.adminToken);

  const failed = (what: string) => (err: unknown) => log.error({ err }, what);
  const certificate = await ServerCertificate.issue(
    authority,
    settings.serverNames,
    failed('the certificate was not renewed'),
  );
  const publisher = new Publisher(failed('the mesh could not be compiled; proxies keep what they have'));
  const fleet = new Fleet(settings.proxyLeaseMs);
  const receipts = new Receipts(fleet, () => store.current.mesh);
  const ads = new AdsService(publisher, fleet, gatekeeper(enrolments, settings.trustDomain), log);
  const presence = new Presence(store, enrolments, fleet, ads, failed('the fleet could not be looked after'));
  store.onCommit((now) => publisher.publish(now));
  publisher.publish(store.current);

  const enrolment = new Enrolment(authority, enrolments, log);
  const joinPort = new GrpcPort(certificate.material, false);
  joinPort.add(...enrolment.joining);
  const xdsPort = new GrpcPort(certificate.material, true);
  xdsPort.add(ads.definition, ads.handlers);
  xdsPort.add(...enrolment.renewing);
  xdsPort.add(...new Registration(store, enrolments, presence, failed('a report could not be taken in')).service);
  certificate.onRenewal((material) => {
    joinPort.replaceCertificate(material);
    xdsPort.replaceCertificate(material);
  });

  return {
    store,
    tokens,
    enrolments,
    publisher,
    fleet,
    receipts,
    certificate,
    listen: async () => ({
      xds: await xdsPort.listen(settings.xdsListen),
      join: await joinPort.listen(settings.joinListen),
    }),
    close: async () => {
      presence.close();
      ads.close();
      xdsPort.close();
      joinPort.close();
      publisher.close();
      certificate.close();
      await database.close();
    },
  };
}

/** What a mesh begins with: settings that everybody can read, and one token in a file that only its owner can. */
async function writeFirst(store: MeshStore, tokens: ApiTokenStore, tokenFile: string): Promise<void> {
  await tokens.createFirst('admin', (text) => write(tokenFile, `${text}\n`, 0o600));
  if (store.current.revision > 0) return;
  const ref = { kind: 'MeshSettings', namespace: '', name: MESH_SETTINGS_NAME } as const;
  const settings = { ...ref, labels: {}, annotations: {}, origin: 'rest', spec: INITIAL_SETTINGS } as const;
  await store.commit(() => ({ put: [settings] }), { author: SERVER, comment: 'first start' });
}

/** A stream is opened for the workload that its sidecar joined as, and for no other. */
const gatekeeper = (enrolments: EnrolmentStore, trustDomain: string) => ({
  trustDomain,
  admit: async (id: string, identity: string): Promise<void> => {
    const [namespace = '', name = ''] = id.split('/');
    const claims = await enrolments.find(namespace, name);
    // Written in one way only: by another, one sidecar would pass for several, and outlive its eviction.
    if (claims?.identity === identity && keyOf({ namespace, name }) === id) return;
    throw new GrpcRefusal(
      grpc.status.PERMISSION_DENIED,
      `${identity} does not speak for ${id}; it never joined as that one, or was evicted`,
    );
  },
});

/** Makes a directory, and those above it, unless it is there. mkdir's own way to do so never ends beneath /proc. */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(path) === path || existsSync(dirname(path))) throw error;
    makeDirectory(dirname(path));
    makeDirectory(path);
  }
}

/** Puts a file in place whole. */
function write(file: string, text: string, mode: number): void {
  writeFileSync(`${file}.new`, text, { mode, flush: true });
  chmodSync(`${file}.new`, mode);
  renameSync(`${file}.new`, file);
}
