/** Starts processes, reads what they say, and leaves none of them running, whatever becomes of this one. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

/** How long things may take that normally take a fraction of it, in milliseconds. */
export const DEADLINE_MS = 20_000;
const POLL_MS = 10;
/** How long a process has to end by itself before it is killed. */
const GRACE_MS = 8_000;
/** How long the pipes of one that has ended are waited for. */
const PIPES_MS = 1_000;

/** Waits until `question` answers with something, which may take until the deadline. Errors count as no answer yet. */
export async function until<Answer>(
  what: string,
  question: () => Answer | undefined | false | Promise<Answer | undefined | false>,
  deadlineMs = DEADLINE_MS,
): Promise<Answer> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    let why = '';
    try {
      const answer = await question();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      why = `; last: ${(error as Error).message}`;
    }
    if (performance.now() > end) throw new Error(`${what}: not within ${deadlineMs} ms${why}`);
    await pause(POLL_MS);
  }
}

/** Thrown by a question that will never have an answer. */
export class Hopeless extends Error {
  override readonly name = 'Hopeless';
}

/** Ports that no system hands out by itself: from 32768 on, Linux gives them to whoever asks for any, and to callers. */
const OURS = { from: 20_000, to: 32_000 };

/** A port of 127.0.0.1 that nobody has at the moment, and that nobody comes to have by chance. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(OURS.from, OURS.to);
    if (await isFree(port)) return port;
  }
  throw new Error('no port is free');
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

export class RunningProcess implements AsyncDisposable {
  readonly name: string;
  /** What it has written so far; of very much, the end. */
  stdout = '';
  stderr = '';
  /** Set when it has ended and all that it wrote has been read. */
  ended: Exit | undefined;
  readonly exit: Promise<Exit>;
  private readonly child: ChildProcess;

  /** Starts `command`, in a process group of its own. `name` is for messages. */
  constructor(name: string, command: readonly [string, ...string[]], { env, cwd }: StartOptions = {}) {
    this.name = name;
    const [program, ...args] = command;
    this.child = spawn(program, args, {
      cwd,
      env: env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { pid, stdout, stderr } = this.child;
    if (pid !== undefined) guard().watch(pid);
    stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout = tail(this.stdout + text)));
    stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr = tail(this.stderr + text)));
    this.exit = new Promise((resolve) => {
      const end = (exit: Exit) => {
        this.ended ??= exit;
        if (pid !== undefined) guard().forget(pid);
        resolve(this.ended);
      };
      this.child.on('error', (error) => {
        this.stderr += error.message;
        end({ code: 127, signal: null });
      });
      // Normally everything has been read when the pipes close, which a program that outlives its sidecar may put off.
      this.child.on('close', (code, signal) => end({ code, signal }));
      this.child.on('exit', (code, signal) => setTimeout(() => end({ code, signal }), PIPES_MS).unref());
    });
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Hopeless(`${this.name} was not started: ${this.stderr}`);
    return this.child.pid;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Waits for `question` to have an answer while the process runs; its end is the end of waiting. */
  until<Answer>(
    what: string,
    question: () => Answer | undefined | false | Promise<Answer | undefined | false>,
    deadlineMs = DEADLINE_MS,
  ): Promise<Answer> {
    return until(
      `${this.name}: ${what}`,
      async () => {
        // Asked once more after its end: what it did last may be the answer.
        const { ended } = this;
        try {
          const answer = await question();
          if (!ended || (answer !== undefined && answer !== false)) return answer;
        } catch (error) {
          if (!ended) throw error;
        }
        const how = ended.code ?? ended.signal;
        throw new Hopeless(`${this.name} ended (${how}) before ${what}:\n${this.stderr.slice(-4_000)}`);
      },
      deadlineMs,
    );
  }

  /** Waits until it has written something to stdout or stderr that `pattern` matches. */
  wrote(pattern: RegExp, deadlineMs = DEADLINE_MS): Promise<RegExpExecArray> {
    const look = () => pattern.exec(this.stdout) ?? pattern.exec(this.stderr) ?? undefined;
    return this.until(`it writes ${pattern}`, look, deadlineMs);
  }

  /** Ends it, and with it whatever is left of its group. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    if (this.child.pid === undefined || this.ended) return this.exit;
    // One that stands still hears nothing else.
    this.signal('SIGCONT');
    this.signal(signal);
    const killer = setTimeout(() => killGroup(this.pid), GRACE_MS);
    const exit = await this.exit;
    clearTimeout(killer);
    killGroup(this.pid);
    return exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** As much as one may want to read of what a process says that runs for days. */
const tail = (text: string): string => (text.length > 2_000_000 ? text.slice(-1_000_000) : text);

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // There is nobody left in it.
  }
}

/** Removes a directory when this process ends, in whatever way. */
export const removeAtEnd = (directory: string): void => guard().own(directory);

interface Guard {
  watch(pid: number): void;
  forget(pid: number): void;
  own(directory: string): void;
}

/**
 * A shell that hears when this process is gone, even by SIGKILL, because its stdin ends then; it kills what is left.
 * It is told of process groups, and of directories that go with this process.
 */
const GUARD = `
pids= dirs= newline='
'
while read -r sign what; do
  case $sign in
    +) pids="$pids $what" ;;
    -) left=; for pid in $pids; do [ "$pid" = "$what" ] || left="$left $pid"; done; pids=$left ;;
    /) dirs="$dirs$what$newline" ;;
  esac
done
for pid in $pids; do kill -KILL "-$pid" 2>/dev/null; done
set -f; IFS=$newline
for dir in $dirs; do rm -rf -- "$dir"; done`;

let running: Guard | undefined;

function guard(): Guard {
  if (running) return running;
  const shell = spawn('/bin/sh', ['-c', GUARD], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  const tell = (line: string) => void shell.stdin.write(`${line}\n`);
  // It must not keep this process from ending: that is what it waits for.
  shell.unref();
  (shell.stdin as unknown as { unref(): void }).unref();
  running = {
    watch: (pid) => tell(`+ ${pid}`),
    forget: (pid) => tell(`- ${pid}`),
    own: (directory) => tell(`/ ${directory}`),
  };
  return running;
}
