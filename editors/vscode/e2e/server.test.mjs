// The server around the ghost text, in a real VS Code: status and menu, switching, dying, being absent, being installed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { CodeServer } from './codeServer.mjs';
import { missing, PYTHON, SCRIPTED } from './place.mjs';
import { makeWheel } from './wheel.mjs';
import { launchBrowser, Window } from './window.mjs';

const skip = missing() ?? false;
const limits = { skip, timeout: 180_000 };
let server, browser;

before(async () => {
  if (!skip) {
    const searchPath = process.env.PATH.split(delimiter).filter((folder) => !existsSync(join(folder, 'quicksilver')));
    server = await CodeServer.start({ trust: true, env: { PATH: searchPath.join(delimiter) } });
    browser = await launchBrowser();
  }
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const UNTRUSTED = { 'security.workspace.trust.startupPrompt': 'never', 'security.workspace.trust.banner': 'never' };

/** Settings with which the scripted server answers "first". */
function scripted(...options) {
  return { 'quicksilver.path': PYTHON, 'quicksilver.args': ['-P', SCRIPTED, '--text', 'first', '--confidence', '0.99', ...options] };
}

async function inWindow(context, { machine = {}, user = {}, files = { 'sum.py': 'total =\n' }, file = 'sum.py' }, body) {
  server.configure({ user: { ...UNTRUSTED, ...user }, machine });
  const window = await Window.open(browser, server, server.workspace(files), file);
  try {
    await body(window);
  } catch (error) {
    await window.screenshot(`failed-${context.name.replace(/\W+/g, '-')}`);
    throw error;
  } finally {
    await window.close();
  }
}

/** Ask for ghost text by typing at the end of the first line. */
async function typeAtEnd(window, text = ' ') {
  await window.goTo(1, 100);
  await window.type(text);
}

test('the status says starting, then ready, then how long an answer took', limits, (context) =>
  inWindow(context, { machine: scripted('--start-ms', '3000') }, async (window) => {
    await window.untilStatus(/starting/);
    await window.screenshot('starting');
    await window.untilStatus(/ready/);
    await typeAtEnd(window);
    await window.untilGhost('first');
    await window.untilStatus(/Quicksilver [\d.]+ m?s/);
  }));

test('an engine that cannot start is said, with its reason', limits, (context) =>
  inWindow(context, { machine: scripted('--unavailable') }, async (window) => {
    await window.untilStatus(/failed.*cannot start: scripted/);
    await window.screenshot('engine-failed');
  }));

test('off and on by the menu, off by the command', limits, (context) =>
  inWindow(context, { machine: scripted() }, async (window) => {
    await window.untilStatus(/ready/);
    await window.clickStatus();
    await window.choose('Switch off');
    await window.untilStatus(/: off/);
    await typeAtEnd(window);
    await window.noGhostFor(1500);
    await window.screenshot('off');
    await window.clickStatus();
    await window.choose('Switch on');
    await window.untilStatus(/ready/);
    await typeAtEnd(window, '2 + ');
    await window.untilGhost('first');
    await window.command('Quicksilver: Switch Completions');
    await window.untilStatus(/: off/);
  }));

test('a snooze silences typing, not asking by hand, and can be ended', limits, (context) =>
  inWindow(context, { machine: scripted() }, async (window) => {
    await window.untilStatus(/ready/);
    await window.command('Quicksilver: Snooze');
    await window.choose('30 minutes');
    await window.untilStatus(/snoozed until \d/);
    await typeAtEnd(window);
    await window.noGhostFor(1500);
    await window.screenshot('snoozed');
    await window.press('Alt+\\');
    await window.untilGhost('first');
    await window.clickStatus();
    await window.choose('End the snooze');
    await window.untilStatus(/ready/);
  }));

test('why nothing came is answered', limits, (context) =>
  inWindow(context, { machine: scripted('--confidence', '0.1') }, async (window) => {
    await window.untilStatus(/ready/);
    await typeAtEnd(window);
    await window.noGhostFor(1000);
    await window.command('Quicksilver: Why Is There No');
    await window.page.locator('.notification-toast', { hasText: 'not sure enough' }).waitFor();
    await window.screenshot('why');
  }));

test('in other languages asking by key starts the server and answers; typing does not ask, and why says so', limits, (context) =>
  inWindow(context, { machine: scripted(), files: { 'sum.lua': 'local total =\n' }, file: 'sum.lua' }, async (window) => {
    await window.untilStatus(/waiting/);
    await window.goTo(1, 100);
    await window.type(' ');
    await window.press('Alt+\\');
    await window.untilGhost('first');
    await window.press('Escape');
    await window.type('2 + ');
    await window.noGhostFor(1000);
    await window.command('Quicksilver: Why Is There No');
    await window.page.locator('.notification-toast', { hasText: 'does not name lua' }).waitFor();
  }));

test('asking where there is nothing says why, asking without a server shows what can be done', limits, async (context) => {
  await inWindow(context, { machine: scripted('--text', ' ') }, async (window) => {
    await window.untilStatus(/ready/);
    await window.goTo(1, 100);
    await window.press('Alt+\\');
    await window.page.locator('.statusbar-item', { hasText: 'Quicksilver: the model had nothing to add here' }).waitFor();
  });
  await inWindow(context, { machine: { 'quicksilver.path': '/no/such/quicksilver' }, files: { 'a.js': 'let a =\n' }, file: 'a.js' }, async (window) => {
    await window.goTo(1, 100);
    await window.press('Alt+\\');
    await window.choose('Say where it is');
  });
});

test('a server that is killed is started again', limits, (context) =>
  inWindow(context, { machine: scripted('--other', 'to-be-killed') }, async (window) => {
    await window.untilStatus(/ready/);
    const pid = serverPid('to-be-killed');
    process.kill(pid, 'SIGKILL');
    await window.until(() => ![pid, undefined].includes(serverPid('to-be-killed')), () => 'another server');
    await window.untilStatus(/ready/);
    await typeAtEnd(window);
    await window.untilGhost('first');
    assert.equal(await window.page.locator('.notification-toast').count(), 0);
  }));

test('a server that ends at once is not started for ever', limits, (context) =>
  inWindow(context, { machine: { 'quicksilver.path': PYTHON, 'quicksilver.args': ['-c', 'raise SystemExit("no")'] } }, async (window) => {
    await window.untilStatus(/stopped/);
    await window.page.locator('.notification-toast', { hasText: 'could not be started: no' }).waitFor();
    await window.screenshot('stopped');
  }));

test('a wrong path is said, and nothing else is started in its stead', limits, (context) =>
  inWindow(context, { machine: { 'quicksilver.path': '/no/such/quicksilver' } }, async (window) => {
    await window.untilStatus(/no language server.*\/no\/such\/quicksilver/);
    await window.page.locator('.notification-toast', { hasText: '/no/such/quicksilver' }).waitFor();
  }));

test('a workspace does not say which program is started, trusted or not', limits, (context) => {
  const settings = JSON.stringify({ 'quicksilver.path': '/bin/false', 'quicksilver.args': ['x'], 'quicksilver.minConfidence': 0 });
  const files = { 'sum.py': 'total =\n', '.vscode/settings.json': settings };
  return inWindow(context, { machine: scripted(), files }, async (window) => {
    await window.untilStatus(/ready/);
    await typeAtEnd(window);
    await window.untilGhost('first');
  });
});

test('no server: asked once, then only the status bar says so; installed from a wheel with consent, used at once', limits, async (context) => {
  const wheel = makeWheel(server.root, 'installed');
  await inWindow(context, {}, async (window) => {
    await window.untilStatus(/no language server/);
    await window.page.locator('.notification-toast', { hasText: 'needs its language server' }).waitFor();
    await window.screenshot('offer');
  });
  await inWindow(context, {}, async (window) => {
    await window.untilStatus(/no language server/);
    await window.page.waitForTimeout(1500);
    assert.equal(await window.page.locator('.notification-toast').count(), 0);
    await window.clickStatus();
    await window.choose('Install the language server');
    await window.choose('From a wheel file');
    await window.fillPath(wheel);
    const consent = window.page.locator('.monaco-dialog-box', { hasText: 'quicksilver_lsp-0.1.0' });
    await consent.waitFor();
    await window.screenshot('consent');
    await consent.getByRole('button', { name: 'Install' }).click();
    await window.untilStatus(/ready/);
    await window.screenshot('installed');
    await typeAtEnd(window);
    await window.untilGhost('installed');
  });
});

/** The process of the server that was started with this argument. */
function serverPid(argument) {
  const found = spawnSync('pgrep', ['-f', `${SCRIPTED}.*${argument}`], { encoding: 'utf8' }).stdout.trim();
  return found === '' ? undefined : Number(found.split('\n')[0]);
}
