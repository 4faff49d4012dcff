/** Certificates as openssl and Node see them, an authority that survives a restart, and requests that must not be signed. */
import { execFileSync } from 'node:child_process';
import { X509Certificate, webcrypto } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { spiffeId } from '../model/names.js';
import { identityOf, uriOf } from '../rpc/peer.js';
import { Authority } from './authority.js';
import { generateKeys, readSigningRequest } from './certificates.js';
import { renewalTime } from './renewal.js';
import { ServerCertificate } from './server-certificate.js';
import { wallClock, type Span } from '../work/clock.js';

const DAY = 86_400_000;
const cart = spiffeId({ trustDomain: 'sluice.local', namespace: 'shop', account: 'cart' });

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'sluice-identity-'))));
afterEach(() => rmSync(directory, { recursive: true }));

const pem = (der: Uint8Array): string => new X509Certificate(Buffer.from(der)).toString();

describe('a leaf', () => {
  const issue = async () => {
    const authority = await Authority.open(directory, 'sluice.local');
    const issued = await authority.issue(cart, (await generateKeys()).publicKey);
    return { authority, issued, leaf: new X509Certificate(Buffer.from(issued.chain[0] ?? [])) };
  };

  it('lasts for a day, bears one SPIFFE id, and serves both ends of a connection', async () => {
    const { leaf } = await issue();
    expect(leaf.subjectAltName).toBe(`URI:${cart}`);
    expect(leaf.ca).toBe(false);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    const life = leaf.validToDate.getTime() - Date.now();
    expect(life).toBeGreaterThan(DAY - 60_000);
    expect(life).toBeLessThanOrEqual(DAY);
    expect(leaf.validFromDate.getTime()).toBeLessThan(Date.now());
  });

  it('is good for whoever trusts the anchor, openssl among them', async () => {
    const { authority, issued } = await issue();
    const [leaf = new Uint8Array(), issuer = new Uint8Array()] = issued.chain;
    const file = (name: string, text: string) => {
      writeFileSync(join(directory, name), text);
      return join(directory, name);
    };
    const args = [
      '-x509_strict',
      '-CAfile',
      file('anchors.pem', authority.anchorsPem),
      '-untrusted',
      file('issuer-only.pem', pem(issuer)),
      file('leaf.pem', pem(leaf)),
    ];
    expect(execFileSync('openssl', ['verify', ...args]).toString()).toContain('OK');
  });

  it('is found to be who it is, in its own trust domain alone', async () => {
    const { issued } = await issue();
    const [leaf = new Uint8Array()] = issued.chain;
    expect(identityOf(leaf, 'sluice.local')).toBe(cart);
    expect(identityOf(leaf, 'other.local')).toBeUndefined();
  });

  it('is nobody when it bears two names', async () => {
    const { privateKey, publicKey } = await generateKeys();
    const names = new x509.SubjectAlternativeNameExtension([
      { type: 'url', value: cart },
      { type: 'url', value: 'spiffe://sluice.local/ns/shop/sa/admin' },
    ]);
    const signed = await x509.X509CertificateGenerator.createSelfSigned({
      keys: { privateKey, publicKey },
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions: [names],
    });
    expect(uriOf(new Uint8Array(signed.rawData))).toBeUndefined();
  });
});

describe('an authority', () => {
  it('is the same after a restart', async () => {
    const first = await Authority.open(directory, 'sluice.local');
    const again = await Authority.open(directory, 'sluice.local');
    expect(again.anchorsPem).toBe(first.anchorsPem);
  });

  it('keeps its keys from others', async () => {
    await Authority.open(directory, 'sluice.local');
    expect(readdirSync(directory).sort()).toEqual(['issuer.pem', 'root.pem']);
    for (const name of readdirSync(directory)) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['others can read its keys', () => chmodSync(join(directory, 'root.pem'), 0o644), /chmod 600/],
    ['a key is damaged', () => writeFileSync(join(directory, 'root.pem'), 'rubbish'), /restore it from a backup/],
  ])('does not open when %s, and says so in one line', async (_, spoil, reason) => {
    await Authority.open(directory, 'sluice.local');
    spoil();
    const failure = await Authority.open(directory, 'sluice.local').catch((error: unknown) => error as Error);
    expect(failure).toMatchObject({ name: 'AuthorityUnusable' });
    expect((failure as Error).message).toMatch(reason);
    expect((failure as Error).message).not.toContain('\n');
  });

  it.each([
    ['lost', () => rmSync(join(directory, 'root.pem')), /has none; restore that directory from a backup/],
    ['replaced by another', () => rmSync(join(directory, 'root.pem')), /restore that directory from a backup/],
  ])('is not made anew where it was %s and is remembered', async (what, spoil, reason) => {
    const { fingerprint } = await Authority.open(directory, 'sluice.local');
    spoil();
    if (what !== 'lost') await Authority.open(directory, 'sluice.local');
    const opened = Authority.open(directory, 'sluice.local', undefined, fingerprint);
    await expect(opened).rejects.toMatchObject({ name: 'AuthorityUnusable', message: expect.stringMatching(reason) });
  });

  it('does not write through what somebody has put in its way', async () => {
    const target = join(directory, 'target');
    writeFileSync(target, 'untouched');
    symlinkSync(target, join(directory, 'root.pem.new'));
    await Authority.open(directory, 'sluice.local');
    expect(readFileSync(target, 'utf8')).toBe('untouched');
    expect(lstatSync(join(directory, 'root.pem')).isFile()).toBe(true);
  });

  it('does not open in a directory that others can look into', async () => {
    chmodSync(directory, 0o755);
    await expect(Authority.open(directory, 'sluice.local')).rejects.toThrow(/run: chmod 700/);
  });

  it('keeps the trust domain that it began with', async () => {
    await Authority.open(directory, 'sluice.local');
    await expect(Authority.open(directory, 'other.local')).rejects.toThrow(
      /for trust domain "sluice.local", not "other.local"/,
    );
  });

  it('makes a new issuer before the old one could cut leaves short', async () => {
    let now = new Date('2026-01-01T00:00:00Z');
    const authority = await Authority.open(directory, 'sluice.local', () => now);
    const before = readFileSync(join(directory, 'issuer.pem'), 'utf8');
    now = new Date('2026-12-15T00:00:00Z');
    const { notAfter } = await authority.issue(cart, (await generateKeys()).publicKey);
    expect(notAfter.getTime()).toBe(now.getTime() + DAY);
    expect(readFileSync(join(directory, 'issuer.pem'), 'utf8')).not.toBe(before);
  });
});

describe('an issuer that is made anew under a burst of joins', () => {
  it('is made once, and every chain holds together', async () => {
    let now = new Date('2026-01-01T00:00:00Z');
    const authority = await Authority.open(directory, 'sluice.local', () => now);
    const { publicKey } = await generateKeys();
    now = new Date('2026-12-15T00:00:00Z');
    const issued = await Promise.all(Array.from({ length: 20 }, () => authority.issue(cart, publicKey)));
    const issuers = new Set(issued.map(({ chain }) => Buffer.from(chain[1] ?? []).toString('hex')));
    expect(issuers.size).toBe(1);
    for (const { chain } of issued) {
      const [leaf, issuer] = chain.map((der) => new X509Certificate(Buffer.from(der)));
      expect(leaf?.verify(issuer!.publicKey)).toBe(true);
    }
  });
});

describe('the certificate of the server', () => {
  it('is renewed by the clock on the wall, and shown to who asks from then on', async () => {
    const authority = await Authority.open(directory, 'sluice.local');
    const due: { span: Span; work: () => void }[] = [];
    const outside = (span: Span, work: () => void) => (due.push({ span, work }), () => undefined);
    const clock = { now: Date.now, outside };
    const certificate = await ServerCertificate.issue(authority, ['localhost'], () => undefined, clock);
    const before = certificate.material.cert;
    const life = due[0]!.span.to - Date.now();
    expect(life).toBeGreaterThan(0.64 * DAY);
    expect(life).toBeLessThan(0.76 * DAY);
    const renewed = new Promise<string>((resolve) => certificate.onRenewal(({ cert }) => resolve(cert)));
    due[0]!.work();
    expect(await renewed).not.toBe(before);
    expect(certificate.material.cert).toBe(await renewed);
  });
});

describe('a clock that was wrong for a while', () => {
  afterEach(() => vi.useRealTimers());

  it('leaves no server behind whose certificate, or issuer, begins only in days', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
    const right = Date.now();
    vi.setSystemTime(right + 3 * DAY);
    const authority = await Authority.open(directory, 'sluice.local');
    const certificate = await ServerCertificate.issue(authority, ['localhost'], () => undefined, wallClock);
    const renewed = new Promise<string>((resolve) => certificate.onRenewal(({ cert }) => resolve(cert)));
    vi.setSystemTime(right);
    await vi.advanceTimersByTimeAsync(30_000);
    const [leaf, issuer] = (await renewed).split(/(?<=-----END CERTIFICATE-----)\n/).filter(Boolean);
    for (const one of [leaf, issuer]) {
      expect(new X509Certificate(one ?? '').validFromDate.getTime()).toBeLessThanOrEqual(right + 30_000);
    }
    certificate.close();
  });
});

describe('a signing request', () => {
  const request = async (keys: CryptoKeyPair, signingAlgorithm: object) =>
    new Uint8Array(
      (await x509.Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: signingAlgorithm as EcdsaParams }))
        .rawData,
    );

  it('is read for its public key alone', async () => {
    const keys = await generateKeys();
    expect(await readSigningRequest(await request(keys, { name: 'ECDSA', hash: 'SHA-256' }))).toHaveProperty('rawData');
  });

  it.each([
    ['is no PKCS#10', async () => new Uint8Array([1, 2, 3]), /not PKCS#10/],
    [
      'is for another kind of key',
      async () => {
        const algorithm = { name: 'ECDSA', namedCurve: 'P-384' };
        const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as CryptoKeyPair;
        return request(keys, { name: 'ECDSA', hash: 'SHA-384' });
      },
      /not ECDSA P-256/,
    ],
    [
      'is for a key that is no point of the curve',
      async () => {
        const der = await request(await generateKeys(), { name: 'ECDSA', hash: 'SHA-256' });
        // The last byte of the uncompressed point: BIT STRING of 66 bytes, of which the first says that none is unused.
        const point = Buffer.from(der).indexOf(Buffer.from([0x03, 0x42, 0x00, 0x04]));
        return der.map((byte, index) => (index === point + 67 ? byte ^ 1 : byte));
      },
      /not signed by its own key/,
    ],
    [
      'was signed by somebody else',
      async () => {
        const [one, other] = [await generateKeys(), await generateKeys()];
        return request({ publicKey: one.publicKey, privateKey: other.privateKey }, { name: 'ECDSA', hash: 'SHA-256' });
      },
      /not signed by its own key/,
    ],
  ])('is refused when it %s', async (_, make, reason) => {
    expect(await readSigningRequest(await make())).toMatchObject({ fault: expect.stringMatching(reason) as string });
  });
});

describe('the time to renew', () => {
  const begin = new Date(0);
  const end = new Date(100_000);
  it.each([
    [0, 65_000],
    [0.5, 70_000],
    [1, 75_000],
  ])('is about 70 %% of the life: at %s of the dice, %s ms', (dice, at) =>
    expect(renewalTime(begin, end, dice)).toBeCloseTo(at),
  );
});
