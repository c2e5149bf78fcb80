// The playground in a headless browser: the command around an engine whose model is a fake, and what a person does and sees.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const REPOSITORY = resolve(import.meta.dirname, '../..');
const CHROMIUM = process.env.QUICKSILVER_CHROMIUM;
const SCREENSHOTS = process.env.QUICKSILVER_SCREENSHOTS;
const PYTHON = join(process.env.QUICKSILVER_VENV ?? join(REPOSITORY, '.venv'), 'bin', 'python');
const FAKE_ENGINE = join(REPOSITORY, 'tests', 'serving', 'fake_engine.py');
const MODULES = process.env.QUICKSILVER_NODE_MODULES ?? join(REPOSITORY, 'editors', 'vscode', 'node_modules');
const PLAYWRIGHT = join(MODULES, 'playwright-core');
export const PATIENCE_MS = 30_000;

/** Why no test can run here, in one line, or undefined. */
export function missing() {
  if (CHROMIUM === undefined || !existsSync(CHROMIUM)) {
    return 'QUICKSILVER_CHROMIUM must name a Chromium';
  }
  if (!existsSync(PLAYWRIGHT)) {
    return `there is no ${PLAYWRIGHT}; npm ci in editors/vscode gets it`;
  }
  return existsSync(PYTHON) ? undefined : `there is no ${PYTHON}; make venv, or set QUICKSILVER_VENV`;
}

export async function launchBrowser() {
  const { chromium } = createRequire(import.meta.url)(PLAYWRIGHT);
  const args = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update'];
  return chromium.launch({ executablePath: CHROMIUM, headless: true, args });
}

/** An engine with a slow model, and the command that opens the playground for it, in a private home. */
export class Playground {
  /** @param {{ model?: string, stepMs?: number }} options model: a real one instead of the fake */
  constructor({ model, stepMs = 2 } = {}) {
    this.home = mkdtempSync(join(tmpdir(), 'quicksilver-'));
    this.log = join(this.home, 'fake.jsonl');
    this.env = { ...process.env, QUICKSILVER_HOME: this.home };
    this.model = model;
    this.key = 'a-key-for-tests';
    this.stepMs = stepMs;
    this.processes = [];
  }

  async start() {
    if (this.model === undefined) {
      const fake = [FAKE_ENGINE, '--fake-log', this.log, '--fake-step-ms', String(this.stepMs)];
      const engine = this.#run([...fake, '--port', '0', '--api-key', this.key], 'stderr');
      await engine.line;
    }
    return this;
  }

  /** Run the command; the address that it prints. */
  address() {
    const options = this.model === undefined ? [] : ['--model', this.model];
    return this.#run(['-m', 'quicksilver.cli', 'playground', '--no-browser', ...options], 'stdout').line;
  }

  /** The page's address on the engine's own port. */
  engineAddress() {
    const folder = join(this.home, 'run');
    const info = readdirSync(folder).find((name) => name.endsWith('.json'));
    return `http://127.0.0.1:${JSON.parse(readFileSync(join(folder, info), 'utf8')).port}/playground`;
  }

  /** What the fake model did. */
  events(name) {
    const lines = existsSync(this.log) ? readFileSync(this.log, 'utf8').split('\n').filter(Boolean) : [];
    return lines.map((line) => JSON.parse(line)).filter((event) => event.event === name);
  }

  async stop() {
    if (this.model !== undefined) {
      await this.#run(['-m', 'quicksilver.cli', 'stop'], 'stdout').line;
    }
    await Promise.all(
      this.processes.map((process) => {
        const ended = process.exitCode === null ? new Promise((resolve) => process.once('exit', resolve)) : undefined;
        process.kill('SIGTERM');
        return ended;
      }),
    );
    rmSync(this.home, { recursive: true, force: true });
  }

  #run(args, stream) {
    const process = spawn(PYTHON, ['-P', ...args], { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.processes.push(process);
    const line = new Promise((resolve, reject) => {
      createInterface({ input: process[stream] }).once('line', resolve);
      process.once('exit', (code) => reject(new Error(`ended with ${code} before it said anything`)));
    });
    line.catch(() => undefined);
    process[stream === 'stdout' ? 'stderr' : 'stdout'].resume();
    return { line };
  }
}

/** One page, which may reach its own origin only. What else it asks for, and what goes wrong in it, is kept. */
export class Page {
  static async open(browser, address, { colorScheme = 'dark', reducedMotion = 'reduce', height = 900 } = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height }, colorScheme, reducedMotion });
    context.setDefaultTimeout(PATIENCE_MS);
    const tab = new Page(await context.newPage(), context);
    await tab.watch(new URL(address).origin);
    await tab.page.goto(address);
    return tab;
  }

  constructor(page, context) {
    this.page = page;
    this.context = context;
    this.faults = [];
    this.requests = [];
  }

  async watch(origin) {
    this.page.on('pageerror', (error) => this.faults.push(String(error)));
    this.page.on('console', (message) => message.type() === 'error' && this.faults.push(message.text()));
    await this.context.route('**', (route) => {
      const address = route.request().url();
      this.requests.push(address);
      if (new URL(address).origin === origin) {
        return route.continue();
      }
      this.faults.push(`asked for ${address}`);
      return route.abort();
    });
  }

  close() {
    return this.context.close();
  }

  part(id) {
    return this.page.locator(`#${id}`);
  }

  text(selector) {
    return this.page.locator(selector).innerText();
  }

  async until(holds, wanted) {
    const end = Date.now() + PATIENCE_MS;
    while (!(await holds())) {
      assert.ok(Date.now() < end, `waited in vain for ${wanted}`);
      await this.page.waitForTimeout(20);
    }
  }

  untilStatus(pattern) {
    return this.until(async () => pattern.test(await this.text('#status')), `the status ${pattern}`);
  }

  async press(...keys) {
    for (const key of keys) {
      await this.page.keyboard.press(key);
    }
  }

  /** What has the focus: its id, else its text. */
  focused() {
    return this.page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim().slice(0, 20));
  }

  async screenshot(name) {
    if (SCREENSHOTS !== undefined) {
      mkdirSync(SCREENSHOTS, { recursive: true });
      await this.page.screenshot({ path: join(SCREENSHOTS, `playground-${name}.png`) });
    }
  }
}
