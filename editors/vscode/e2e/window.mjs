// One window of the editor in a headless browser, and what a person does and sees in it.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { CHROMIUM, SCREENSHOTS } from './place.mjs';

export const PATIENCE_MS = 30_000;
const GHOST = '.ghost-text-decoration, .ghost-text-decoration-preview, .ghost-text';
const STATUS = '[id="quicksilver.quicksilver.status"]';

/** A browser, and in it one profile for all windows: what the editor's pages load is then loaded once. */
export async function launchBrowser() {
  const quiet = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'];
  const offline = ['--disable-background-networking', '--disable-component-update'];
  const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: [...quiet, ...offline] });
  const profile = await browser.newContext({ viewport: { width: 1100, height: 640 } });
  profile.setDefaultTimeout(PATIENCE_MS);
  return { newPage: () => profile.newPage(), close: () => browser.close() };
}

export class Window {
  constructor(page, folder, file) {
    this.page = page;
    this.path = join(folder, file);
  }

  /** Open a window on a file and wait for its editor. */
  static async open(browser, server, folder, file) {
    const page = await browser.newPage();
    await page.goto(server.address(folder, file));
    const window = new Window(page, folder, file);
    await page.locator('.monaco-editor .view-lines').first().waitFor();
    return window;
  }

  close() {
    return this.page.close();
  }

  /** Put the cursor before `column` (from 1) of a line (from 1). */
  async goTo(line, column = 1) {
    await this.press('Control+G');
    await this.page.locator('.quick-input-widget').waitFor();
    await this.page.keyboard.type(`${line}:${column}`);
    await this.press('Enter');
    await this.page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
  }

  async type(text, delay = 0) {
    await this.page.keyboard.type(text, { delay });
  }

  async press(...keys) {
    for (const key of keys) {
      await this.page.keyboard.press(key);
    }
  }

  /** Run a command by its title. */
  async command(title) {
    await this.press('F1');
    await this.page.locator('.quick-input-widget input').first().fill(`>${title}`);
    await this.page.locator('.quick-input-list .monaco-list-row.focused').waitFor();
    await this.press('Enter');
  }

  /** The ghost text as it is on the screen, line by line; empty where there is none. */
  async ghost() {
    const parts = await this.page.locator(GHOST).evaluateAll((nodes) =>
      nodes.map((node) => ({ text: node.textContent, top: Math.round(node.getBoundingClientRect().top), left: node.getBoundingClientRect().left })),
    );
    const lines = new Map();
    for (const part of parts.sort((one, other) => one.top - other.top || one.left - other.left)) {
      lines.set(part.top, (lines.get(part.top) ?? '') + part.text);
    }
    return [...lines.values()].join('\n').replaceAll('\u00a0', ' ');
  }

  async untilGhost(text) {
    await this.until(async () => (await this.ghost()).includes(text), async () => `ghost text ${JSON.stringify(text)}; there is ${JSON.stringify(await this.ghost())}`);
  }

  async untilNoGhost() {
    await this.until(async () => (await this.ghost()) === '', async () => `no ghost text; there is ${JSON.stringify(await this.ghost())}`);
  }

  /** No ghost text comes in this time. (For what must not happen there is nothing to wait for but time.) */
  async noGhostFor(ms) {
    const end = Date.now() + ms;
    while (Date.now() < end) {
      assert.equal(await this.ghost(), '');
      await this.page.waitForTimeout(50);
    }
  }

  /** Change a setting that is a number or a text as a person does: in the settings editor. */
  async changeSetting(name, value) {
    await this.command('Preferences: Open Settings (UI)');
    await this.page.locator('.settings-editor .settings-header .monaco-editor.focused').waitFor();
    await this.press('Control+A');
    await this.type(`@id:${name}`);
    await this.page.locator('.settings-editor .settings-count-widget', { hasText: '1 Setting' }).waitFor();
    await this.page.locator('.settings-editor .setting-item-contents input').first().fill(String(value));
    await this.page.locator('.settings-editor .setting-item.is-configured, .settings-editor .is-configured').first().waitFor();
    await this.press('Escape', 'Escape');
    await this.page.locator('.settings-editor').waitFor({ state: 'detached' });
  }

  /** Save, and give the file's bytes as text. */
  async saved() {
    await this.press('Control+S');
    await this.page.locator('.tab.active:not(.dirty)').waitFor();
    return readFileSync(this.path, 'utf8');
  }

  async status() {
    const item = this.page.locator(STATUS);
    return { text: (await item.textContent()).trim(), label: await item.locator('a').getAttribute('aria-label') };
  }

  /** Wait until the status bar item says so, to the eye or to a screen reader. */
  async untilStatus(pattern) {
    await this.page.locator(STATUS).waitFor();
    const says = async () => Object.values(await this.status()).some((text) => pattern.test(text ?? ''));
    await this.until(says, async () => `status ${pattern}; it says ${JSON.stringify(await this.status())}`);
  }

  async clickStatus() {
    await this.page.locator(`${STATUS} a`).click();
  }

  /** Choose a row of an open quick pick. */
  async choose(label) {
    await this.page.locator('.quick-input-list .monaco-list-row', { hasText: label }).click();
  }

  /** Give a path to the editor's own file dialog. It writes into its line too, while it reads folders: then again. */
  async fillPath(path) {
    const input = this.page.locator('.quick-input-widget input[type=text]').first();
    await this.until(async () => (await input.inputValue()).endsWith('/'), () => 'a file dialog');
    const keeps = async () => {
      await input.fill(path);
      await this.page.waitForTimeout(1_000);
      return (await input.inputValue()) === path;
    };
    await this.until(keeps, async () => `the path in the dialog; there is ${await input.inputValue()}`);
    await this.press('Enter');
  }

  async until(holds, wanted) {
    const end = Date.now() + PATIENCE_MS;
    while (!(await holds())) {
      assert.ok(Date.now() < end, `waited in vain for ${Date.now() < end ? '' : await wanted()}`);
      await this.page.waitForTimeout(25);
    }
  }

  async screenshot(name) {
    if (SCREENSHOTS !== undefined) {
      mkdirSync(SCREENSHOTS, { recursive: true });
      await this.page.waitForTimeout(400); // until what moves in has come to rest
      await this.page.screenshot({ path: join(SCREENSHOTS, `vscode-${name}.png`) });
    }
  }
}
