/** The certificate authority of the mesh: a trust anchor and an issuer on disk, made at first start, and what they sign. */
import { createHash, webcrypto } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
// x509 needs its polyfill before it is loaded.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import type { SpiffeId } from '../model/names.js';
import { writeWhole } from '../store/whole-file.js';
import {
  createIssuer,
  createLeaf,
  createRoot,
  generateKeys,
  trustDomainOf,
  type KeyedCertificate,
} from './certificates.js';

/** A leaf with what a peer needs to verify it. */
export interface IssuedCertificate {
  /** Leaf first, then the issuer; the trust anchor is not part of it. DER. */
  readonly chain: readonly Uint8Array[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** Authority files that cannot be used; the message says which, why and what to do, in one line. */
export class AuthorityUnusable extends Error {
  override readonly name = 'AuthorityUnusable';
}

/** A new issuer is made when the old one has less than this left: leaves must never be cut short for long. */
const ISSUER_RENEWAL_MS = 30 * 86_400_000;

export class Authority {
  private renewing: Promise<KeyedCertificate> | undefined;

  private constructor(
    readonly trustDomain: string,
    private readonly directory: string,
    private readonly root: KeyedCertificate,
    private issuer: KeyedCertificate,
    private readonly clock: () => Date,
  ) {}

  /**
   * Reads the authority in `directory`, making what is missing: but never a trust anchor for a mesh that has had another,
   * whose `fingerprint` is remembered. Throws AuthorityUnusable.
   */
  static async open(
    directory: string,
    trustDomain: string,
    clock = () => new Date(),
    fingerprint?: string,
  ): Promise<Authority> {
    const file = join(directory, 'root.pem');
    // Before anything is made: what is put back must not find something in its place.
    if (fingerprint !== undefined && !existsSync(file)) throw lost(directory, fingerprint, 'has none');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    checkPrivate(directory);
    const root = await readOrMake(file, () => createRoot(trustDomain, clock()));
    const found = fingerprintOf(root);
    if (fingerprint !== undefined && found !== fingerprint) throw lost(directory, fingerprint, `has ${found}`);
    const made = trustDomainOf(root.certificate);
    if (made !== trustDomain) {
      throw new AuthorityUnusable(
        `the trust anchor in ${directory} is for trust domain "${made ?? '(none)'}", not "${trustDomain}"; a mesh keeps the trust domain that it began with`,
      );
    }
    const issuer = await readOrMake(join(directory, 'issuer.pem'), () => createIssuer(trustDomain, root, clock()));
    const authority = new Authority(trustDomain, directory, root, issuer, clock);
    await authority.freshIssuer();
    return authority;
  }

  /**
   * The trust domain of the authority in `directory`, which is whole and is that of `fingerprint`: its keys are those of its
   * certificates, and its issuer is the trust anchor's. Makes nothing. Throws AuthorityUnusable.
   */
  static async check(directory: string, fingerprint: string): Promise<string> {
    const [root, issuer] = [await read(join(directory, 'root.pem')), await read(join(directory, 'issuer.pem'))];
    const found = fingerprintOf(root);
    if (found !== fingerprint) throw lost(directory, fingerprint, `has ${found}`);
    const isWhole =
      (await isPair(root)) &&
      (await isPair(issuer)) &&
      (await issuer.certificate.verify({ publicKey: root.certificate, signatureOnly: true }));
    const trustDomain = trustDomainOf(root.certificate);
    if (!isWhole || trustDomain === undefined) {
      throw new AuthorityUnusable(`the keys and certificates in ${directory} do not belong together`);
    }
    return trustDomain;
  }

  /** By which the trust anchor is known again: SHA-256 in hex. */
  get fingerprint(): string {
    return fingerprintOf(this.root);
  }

  /** Every trust anchor of the mesh, DER. */
  get anchors(): readonly Uint8Array[] {
    return [new Uint8Array(this.root.certificate.rawData)];
  }

  /** The same as PEM, for whoever connects to the control plane. */
  get anchorsPem(): string {
    return `${this.root.certificate.toString('pem')}\n`;
  }

  /** Signs a leaf for `publicKey` that proves `identity`. */
  async issue(
    identity: SpiffeId,
    publicKey: x509.PublicKeyType,
    hosts: readonly x509.JsonGeneralName[] = [],
  ): Promise<IssuedCertificate> {
    // One issuer for the whole of it: another may take its place while this one signs.
    const issuer = await this.freshIssuer();
    const leaf = await createLeaf(identity, publicKey, issuer, this.clock(), hosts);
    const chain = [leaf, issuer.certificate].map(({ rawData }) => new Uint8Array(rawData));
    return { chain, notBefore: leaf.notBefore, notAfter: leaf.notAfter };
  }

  /** A key made here and a leaf for it, as PEM: what the server itself shows to those who connect. */
  async issueWithKey(identity: SpiffeId, hosts: readonly x509.JsonGeneralName[]) {
    const keys = await generateKeys();
    const issued = await this.issue(identity, keys.publicKey, hosts);
    const chain = issued.chain.map((der) => new x509.X509Certificate(Uint8Array.from(der)).toString('pem'));
    return { ...issued, keyPem: await keyPem(keys.privateKey), chainPem: `${chain.join('\n')}\n` };
  }

  /** The issuer, made anew if need be: once, however many ask for it at the same time. */
  private async freshIssuer(): Promise<KeyedCertificate> {
    const { notBefore, notAfter } = this.issuer.certificate;
    const now = this.clock();
    // One that was made by a clock that was wrong is of no use before its time.
    if (notBefore <= now && notAfter.getTime() - now.getTime() > ISSUER_RENEWAL_MS) return this.issuer;
    this.renewing ??= this.renewIssuer().finally(() => (this.renewing = undefined));
    return this.renewing;
  }

  /** It signs nothing before it is kept: what it signed must be good after a restart as well. */
  private async renewIssuer(): Promise<KeyedCertificate> {
    const issuer = await createIssuer(this.trustDomain, this.root, this.clock());
    await write(join(this.directory, 'issuer.pem'), issuer);
    this.issuer = issuer;
    return issuer;
  }
}

/** Says whether a private key is that of its certificate. */
async function isPair({ certificate, privateKey }: KeyedCertificate): Promise<boolean> {
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  const something = new TextEncoder().encode('something');
  const signature = await webcrypto.subtle.sign(algorithm, privateKey, something);
  return webcrypto.subtle.verify(algorithm, await certificate.publicKey.export(), signature, something);
}

const fingerprintOf = ({ certificate }: KeyedCertificate): string =>
  createHash('sha256').update(new Uint8Array(certificate.rawData)).digest('hex');

/** A new anchor would be a new mesh: no sidecar that there is would believe it, and none would be believed. */
const lost = (directory: string, fingerprint: string, found: string): AuthorityUnusable =>
  new AuthorityUnusable(
    `the database is that of a mesh with trust anchor ${fingerprint}, and ${directory} ${found}; restore that directory from a backup, or begin a new mesh in another data directory`,
  );

/** What is in a directory that others can get at may be theirs, or known to them. */
function checkPrivate(directory: string): void {
  const { uid, mode } = lstatSync(directory);
  if (uid !== (process.geteuid?.() ?? uid)) throw new AuthorityUnusable(`${directory} belongs to another user`);
  if ((mode & 0o077) !== 0) {
    throw new AuthorityUnusable(`${directory} holds private keys and is open to others; run: chmod 700 ${directory}`);
  }
}

async function readOrMake(file: string, make: () => Promise<KeyedCertificate>): Promise<KeyedCertificate> {
  if (existsSync(file)) return read(file);
  const made = await make();
  await write(file, made);
  return made;
}

/** Certificate and key stand in one file, so that a crash cannot part them. */
async function write(file: string, { certificate, privateKey }: KeyedCertificate): Promise<void> {
  const text = `${certificate.toString('pem')}\n${await keyPem(privateKey)}\n`;
  writeWhole(file, text, 0o600);
}

async function read(file: string): Promise<KeyedCertificate> {
  if ((statSync(file).mode & 0o077) !== 0) {
    throw new AuthorityUnusable(`${file} holds a private key and can be read by others; run: chmod 600 ${file}`);
  }
  try {
    const text = readFileSync(file, 'utf8');
    const [key] = x509.PemConverter.decode(text.slice(text.indexOf('-----BEGIN PRIVATE KEY-----')));
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
    return {
      certificate: new x509.X509Certificate(text.slice(0, text.indexOf('-----BEGIN PRIVATE KEY-----'))),
      privateKey: (await webcrypto.subtle.importKey('pkcs8', key ?? new ArrayBuffer(0), algorithm, true, [
        'sign',
      ])) as CryptoKey,
    };
  } catch (cause) {
    throw new AuthorityUnusable(`${file} does not hold a certificate and its key; restore it from a backup`, { cause });
  }
}

const keyPem = async (key: CryptoKey): Promise<string> =>
  x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
