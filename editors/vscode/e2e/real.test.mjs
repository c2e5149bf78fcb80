// The real server, engine and model behind a real VS Code. What the model says is its own; that it says it is tested.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CodeServer } from './codeServer.mjs';
import { missing, QUICKSILVER, REPOSITORY } from './place.mjs';
import { launchBrowser, Window } from './window.mjs';

const skip = missing() ?? (existsSync(QUICKSILVER) ? false : `there is no ${QUICKSILVER}`);
const limits = { skip, timeout: 240_000 };
const FILE = 'markdown_table.py';
const ANCHOR = '    if line.endswith';
let server, browser;

before(async () => {
  if (!skip) {
    server = await CodeServer.start();
    browser = await launchBrowser();
    // So that a model that is seldom sure says something, on a machine that is busy with other things too.
    const generous = { 'quicksilver.minConfidence': 0.1, 'quicksilver.budgetMs': 10_000 };
    server.configure({ user: generous, machine: { 'quicksilver.path': QUICKSILVER } });
  }
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A window on an example, in which what follows the anchor on its line is to be typed again. */
async function openWithHole() {
  const text = readFileSync(join(REPOSITORY, 'examples', FILE), 'utf8');
  const at = text.indexOf(ANCHOR) + ANCHOR.length;
  assert.ok(at > ANCHOR.length);
  const files = { [FILE]: text.slice(0, at) + text.slice(text.indexOf('\n', at)) };
  const window = await Window.open(browser, server, server.workspace(files), FILE);
  return { window, line: text.slice(0, at).split('\n').length };
}

/**
 * Type the bracket after the anchor until ghost text comes: what is typed before the server runs is asked of nobody, so
 * it is typed again every other second.
 */
async function typeOn(window, line) {
  await window.goTo(line, 100);
  let typed = 0;
  await window.until(
    async () => {
      if (Date.now() - typed > 2_000 && (await window.ghost()) === '') {
        await window.press(...(typed === 0 ? ['('] : ['Backspace', '(']));
        typed = Date.now();
      }
      return (await window.ghost()) !== '';
    },
    () => 'ghost text',
  );
}

test('from an empty profile to ghost text, and a killed engine comes back', limits, async (context) => {
  const opened = Date.now();
  const { window, line } = await openWithHole();
  const shown = Date.now();
  try {
    await typeOn(window, line);
    const first = Date.now();
    context.diagnostic(`editor after ${shown - opened} ms, first ghost text ${first - shown} ms later (engine started meanwhile)`);
    await window.untilStatus(/Quicksilver [\d.]+ m?s/);
    await window.screenshot('real');
    await window.press('Escape');
    const killed = server.signalEngine('SIGKILL');
    assert.notEqual(killed, undefined);
    await window.press('Backspace');
    await window.until(async () => ![killed, undefined].includes(server.enginePid()), () => 'another engine');
    await window.untilStatus(/ready/);
    await window.press('Alt+\\');
    await window.until(async () => (await window.ghost()) !== '', () => 'ghost text of the new engine');
  } catch (error) {
    await window.screenshot('failed-real');
    throw error;
  } finally {
    await window.close();
  }
});

test('with the engine warm, from opening the file to ghost text; the engine restarted by command', limits, async (context) => {
  const opened = Date.now();
  const { window, line } = await openWithHole();
  const shown = Date.now();
  try {
    await typeOn(window, line);
    context.diagnostic(`editor after ${shown - opened} ms, first ghost text ${Date.now() - shown} ms later (engine was running)`);
    const before = server.enginePid();
    await window.command('Quicksilver: Restart the Engine');
    await window.until(async () => ![before, undefined].includes(server.enginePid()), () => 'another engine');
    await window.untilStatus(/ready/);
  } catch (error) {
    await window.screenshot('failed-real-warm');
    throw error;
  } finally {
    await window.close();
  }
});
