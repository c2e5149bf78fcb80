// A code-server of its own: fresh folders, the packaged extension, started and stopped by the tests.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { CODE_SERVER, NODE } from './place.mjs';

const START_MS = 60_000;

/** What every test wants of the editor: no noise, and nothing completes but the extension. */
const QUIET = {
  'workbench.startupEditor': 'none',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.tips.enabled': false,
  'chat.disableAIFeatures': true,
  'chat.commandCenter.enabled': false,
  'extensions.ignoreRecommendations': true,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'git.enabled': false,
  'editor.quickSuggestions': { other: 'off', comments: 'off', strings: 'off' },
  'editor.wordBasedSuggestions': 'off',
  'editor.autoClosingBrackets': 'never',
  'editor.autoClosingQuotes': 'never',
  'editor.minimap.enabled': false,
  'editor.inlineSuggest.showToolbar': 'never',
  'files.autoSave': 'off',
};

export class CodeServer {
  constructor(root, port, child) {
    this.root = root;
    this.port = port;
    this.child = child;
    this.output = '';
    // Also when the tests themselves are stopped: nothing of it may stay behind.
    this.leave = () => {
      this.signalEngine('SIGKILL');
      this.signal('SIGKILL');
      rmSync(root, { recursive: true, force: true });
    };
    process.once('exit', this.leave);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
      process.once(signal, () => process.exit(1));
    }
  }

  /** Install the packaged extension into fresh folders and start. `trust`: leave workspace trust on. */
  static async start({ trust = false, env = {} } = {}) {
    const root = mkdtempSync(join(tmpdir(), 'quicksilver-e2e-'));
    for (const name of ['user', 'extensions', 'home', 'engine', 'workspaces']) {
      mkdirSync(join(root, name), { recursive: true });
    }
    const folders = ['--user-data-dir', join(root, 'user'), '--extensions-dir', join(root, 'extensions')];
    const config = join(root, 'config.yaml');
    writeFileSync(config, '');
    const environment = { ...process.env, HOME: join(root, 'home'), QUICKSILVER_HOME: join(root, 'engine'), ...env };
    const options = { env: environment, cwd: root };
    const install = [CODE_SERVER, ...folders, '--config', config, '--install-extension', vsix()];
    const installed = spawnSync(NODE, install, { ...options, encoding: 'utf8' });
    if (installed.status !== 0) {
      throw new Error(`the extension cannot be installed:\n${installed.stdout}${installed.stderr}`);
    }
    const port = await freePort();
    const quiet = ['--auth', 'none', '--disable-telemetry', '--disable-update-check'];
    const trusted = trust ? [] : ['--disable-workspace-trust'];
    const args = [CODE_SERVER, '--bind-addr', `127.0.0.1:${port}`, ...quiet, ...trusted, ...folders, '--config', config];
    const child = spawn(NODE, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const server = new CodeServer(root, port, child);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (server.output += text));
    }
    await server.untilUp();
    return server;
  }

  async untilUp() {
    const end = Date.now() + START_MS;
    while (Date.now() < end && this.child.exitCode === null) {
      const answer = await fetch(`http://127.0.0.1:${this.port}/healthz`).catch(() => undefined);
      if (answer?.ok) {
        return;
      }
      await new Promise((done) => setTimeout(done, 200));
    }
    await this.stop();
    throw new Error(`code-server did not start:\n${this.output}`);
  }

  /** Write the settings of the user (any) and of the machine (those of scope machine), and so for the next window. */
  configure({ user = {}, machine = {} }) {
    for (const [folder, settings] of [['User', { ...QUIET, ...user }], ['Machine', machine]]) {
      mkdirSync(join(this.root, 'user', folder), { recursive: true });
      writeFileSync(join(this.root, 'user', folder, 'settings.json'), JSON.stringify(settings));
    }
  }

  /** A new workspace folder with these files. */
  workspace(files) {
    const folder = mkdtempSync(join(this.root, 'workspaces', 'w-'));
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(folder, name, '..'), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    return folder;
  }

  /** The address of a window on a folder, with a file open in it. */
  address(folder, file) {
    const payload = encodeURIComponent(JSON.stringify([['openFile', `vscode-remote://127.0.0.1:${this.port}${join(folder, file)}`]]));
    return `http://127.0.0.1:${this.port}/?folder=${encodeURIComponent(folder)}&payload=${payload}`;
  }

  /** The process of the engine that a language server has started here, from the note that it leaves. */
  enginePid() {
    const folder = join(this.root, 'engine');
    const notes = readdirSync(folder, { recursive: true }).filter((name) => /engine-[0-9a-f]+\.json$/.test(name));
    return notes.map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')).pid).find(isAlive);
  }

  /** Send the engine a signal, where there is one; gives its process. */
  signalEngine(signal) {
    const pid = this.enginePid();
    if (pid !== undefined) {
      process.kill(pid, signal);
    }
    return pid;
  }

  /** Send a signal to code-server and what it started. */
  signal(signal) {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      process.kill(-this.child.pid, signal);
    }
  }

  /** Stop it and all that it started, and remove its folders. */
  async stop() {
    const gone = new Promise((done) => this.child.once('exit', done));
    this.signalEngine('SIGTERM');
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.signal('SIGTERM');
      const patience = setTimeout(() => this.signal('SIGKILL'), 5_000);
      await gone;
      clearTimeout(patience);
    }
    process.removeListener('exit', this.leave);
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** The packaged extension. */
export function vsix() {
  const folder = resolve(import.meta.dirname, '..');
  const found = readdirSync(folder).filter((name) => name.endsWith('.vsix'));
  if (found.length !== 1) {
    throw new Error(`expected one .vsix in ${folder}, there are ${found.length}: npm run package`);
  }
  return join(folder, found[0]);
}

function freePort() {
  return new Promise((done, failed) => {
    const probe = createServer().once('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}
