/** One server for a data directory, whatever becomes of the one before. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DirectoryLock, LockUnusable } from './directory-lock.js';

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'sluice-lock-'))));
afterEach(() => rmSync(directory, { recursive: true }));

const take = () => DirectoryLock.take(directory, join(directory, 'sluice.lock'));

/** What `take` does, in a process that holds it until it is killed. */
const HOLDER = `
  const { default: Sqlite } = await import('better-sqlite3');
  const held = new Sqlite(process.argv[1]);
  held.pragma('journal_mode = MEMORY');
  held.exec('BEGIN EXCLUSIVE');
  console.log('held');
  setInterval(() => undefined, 1_000);`;

describe('the lock of a data directory', () => {
  it('is held by one at a time, and says so by the name of the directory', () => {
    const first = take();
    expect(take).toThrow(LockUnusable);
    expect(take).toThrow(
      `cannot use the data directory ${directory}: another process has it open; stop that one, or choose another data directory`,
    );
    first.release();
    take().release();
  });

  it('leaves one empty file', () => {
    const lock = take();
    expect(readdirSync(directory)).toEqual(['sluice.lock']);
    lock.release();
    expect(readdirSync(directory)).toEqual(['sluice.lock']);
    expect(statSync(join(directory, 'sluice.lock')).size).toBe(0);
  });

  it('says in one line that its file cannot be used', () => {
    mkdirSync(join(directory, 'sluice.lock'));
    expect(take).toThrow(
      `cannot use the data directory ${directory}: ${directory}/sluice.lock cannot be locked; check its owner and mode`,
    );
  });

  it('ends with its process, although that is killed', async () => {
    const holder = spawn(process.execPath, ['--input-type=module', '-e', HOLDER, join(directory, 'sluice.lock')]);
    await once(holder.stdout, 'data');
    expect(take).toThrow(LockUnusable);
    const ended = once(holder, 'exit');
    holder.kill('SIGKILL');
    await ended;
    take().release();
  });
});
