/** The language server: found, started, asked, restarted when it dies. Reports its state to its listener. */

import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { EventEmitter, workspace, type Disposable, type LogOutputChannel } from 'vscode';
import { Client } from './client';
import { argumentsWithModel, isProgram, locateServer, type Location } from './location';
import { SECTION } from './settings';
import { readStatus, type ServerStatus, type State } from './status';
import type { TraceChannel } from './trace';

/** So often in that time it may die and is started again by itself. */
const MOST_CRASHES = 4;
const CRASH_WINDOW_MS = 180_000;
const PAUSE_AFTER_CRASH_MS = 500;

export interface Folders {
  /** The server's working folder: one of ours, never one of the workspace. */
  cwd: string;
  /** Where the extension's own environments are. */
  environments: string;
}

export class Server {
  private readonly changed = new EventEmitter<State>();
  readonly onDidChange = this.changed.event;
  private readonly silence = new EventEmitter<string>();
  /** A person asked for a completion in the document of that URI, and there was none. */
  readonly onNothing = this.silence.event;
  private current: State = { kind: 'idle' };
  private client: Client | undefined;
  private watch: Disposable | undefined;
  private queue: Promise<void> = Promise.resolve();
  private isNotified = false;
  private crashes: number[] = [];
  private again: NodeJS.Timeout | undefined;

  constructor(
    private readonly folders: Folders,
    private readonly log: LogOutputChannel,
    private readonly trace: TraceChannel,
  ) {}

  get state(): State {
    return this.current;
  }

  /** Start the server unless it runs. Afterwards `state` says how that went. */
  start(): Promise<void> {
    return this.inTurn(async () => {
      if (this.client === undefined) {
        await this.launch();
      }
    });
  }

  stop(): Promise<void> {
    return this.inTurn(() => this.halt());
  }

  /** Look for the program anew and start it. */
  restart(): Promise<void> {
    this.crashes = [];
    return this.inTurn(async () => {
      await this.halt();
      await this.launch();
    });
  }

  /**
   * Send a command; the answer is the server's, or undefined if no server runs or it does not know the command. A
   * status in the answer counts only for a server that sends no notifications: those may have overtaken the answer.
   */
  async ask(command: string, ...args: unknown[]): Promise<unknown> {
    if (this.client === undefined || this.current.kind !== 'running') {
      return undefined;
    }
    try {
      const answer = await this.client.execute(command, ...args);
      if (!this.isNotified) {
        this.take(readStatus(answer));
      }
      return answer;
    } catch (error) {
      this.log.error(`${command}: ${messageOf(error)}`);
      return undefined;
    }
  }

  async dispose(): Promise<void> {
    await this.stop();
    this.changed.dispose();
    this.silence.dispose();
  }

  /** Starting and stopping go one after the other. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    this.queue = this.queue.then(work, work);
    return this.queue;
  }

  private async launch(): Promise<void> {
    const place = this.locate();
    if (!place.found) {
      this.log.warn(place.reason);
      this.become({ kind: 'missing', reason: place.reason, wrongSetting: place.wrongSetting });
      return;
    }
    const settings = workspace.getConfiguration(SECTION);
    const args = argumentsWithModel(settings.get<string[]>('args', ['lsp']), settings.get<string>('model', ''), homedir());
    this.log.info(`starting ${place.command} (${place.source}) with ${args.length} arguments`);
    this.become({ kind: 'launching' });
    mkdirSync(this.folders.cwd, { recursive: true, mode: 0o700 });
    let lastLine = '';
    const client: Client = new Client({ command: place.command, args, cwd: this.folders.cwd }, this.log, this.trace, {
      status: (status) => {
        this.isNotified = true;
        this.take(status);
      },
      nothing: (uri) => this.silence.fire(uri),
      closed: () => this.died(client),
      heard: (line) => {
        lastLine = line;
      },
    });
    this.client = client;
    this.isNotified = false;
    try {
      await client.start();
    } catch (error) {
      this.client = undefined;
      this.log.error(`starting: ${messageOf(error)}`);
      this.become({ kind: 'stopped', reason: `The language server could not be started: ${lastLine || messageOf(error)}` });
      return;
    }
    this.watch = client.watchSettings();
    await this.greet();
  }

  /** A server that tells no status is taken to be ready. */
  private async greet(): Promise<void> {
    const ready: ServerStatus = { state: 'ready', message: '', latency_ms: null, model: null, snoozed_until_ms: null };
    if (this.current.kind !== 'running') {
      this.become({ kind: 'running', status: ready });
    }
    await this.ask('quicksilver.status');
  }

  private async halt(): Promise<void> {
    clearTimeout(this.again);
    const client = this.client;
    this.client = undefined;
    this.watch?.dispose();
    if (client !== undefined) {
      await client.stop().catch((error: unknown) => this.log.warn(`stopping: ${messageOf(error)}`));
      this.become({ kind: 'idle' });
    }
  }

  /** The connection closed by itself. While it was being started, `launch` says so. */
  private died(client: Client): void {
    if (this.client !== client || this.current.kind === 'launching') {
      return;
    }
    this.client = undefined;
    this.watch?.dispose();
    const now = Date.now();
    this.crashes = [...this.crashes.filter((then) => now - then < CRASH_WINDOW_MS), now];
    if (this.crashes.length > MOST_CRASHES) {
      const reason = `The language server has ended ${this.crashes.length} times in a short while and is not started again.`;
      this.become({ kind: 'stopped', reason });
      return;
    }
    this.log.warn('the language server has ended and is started again');
    this.become({ kind: 'launching' });
    this.again = setTimeout(() => void this.start(), PAUSE_AFTER_CRASH_MS * this.crashes.length);
  }

  private take(status: ServerStatus | undefined): void {
    if (status !== undefined && this.client !== undefined) {
      this.become({ kind: 'running', status });
    }
  }

  private become(state: State): void {
    this.current = state;
    this.changed.fire(state);
  }

  private locate(): Location {
    return locateServer({
      setting: workspace.getConfiguration(SECTION).get<string>('path', ''),
      searchPath: process.env.PATH ?? '',
      platform: process.platform,
      home: homedir(),
      environments: this.folders.environments,
      isProgram,
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
