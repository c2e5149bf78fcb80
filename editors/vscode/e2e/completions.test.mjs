// Ghost text in a real VS Code, answered by the scripted server: what a person sees and what ends up in the file.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CodeServer } from './codeServer.mjs';
import { missing, PYTHON, SCRIPTED } from './place.mjs';
import { launchBrowser, Window } from './window.mjs';

const skip = missing() ?? false;
let server, browser;

before(async () => {
  if (!skip) {
    server = await CodeServer.start();
    browser = await launchBrowser();
  }
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A test in a window of its own, on one file, with a server that answers as told. */
function inWindow(name, { text, options = [], user = {}, file = 'sum.py', content }, body) {
  test(name, { skip, timeout: 120_000 }, async () => {
    const args = ['-P', SCRIPTED, '--text', text, '--confidence', '0.99', ...options];
    server.configure({ user, machine: { 'quicksilver.path': PYTHON, 'quicksilver.args': args } });
    const window = await Window.open(browser, server, server.workspace({ [file]: content }), file);
    try {
      await window.untilStatus(/ready/);
      await body(window);
    } catch (error) {
      await window.screenshot(`failed-${name.replace(/\W+/g, '-')}`);
      throw error;
    } finally {
      await window.close();
    }
  });
}

const ADD = 'def add(first, second):\n\n\nprint(add(1, 2))\n';

inWindow('ghost text appears, Tab takes all of it, undo brings back what was typed', { text: 'return first + second', content: ADD }, async (window) => {
  await window.goTo(2);
  await window.type('    ');
  await window.untilGhost('return first + second');
  await window.screenshot('ghost');
  await window.press('Tab');
  await window.untilNoGhost();
  assert.equal(await window.saved(), ADD.replace('\n\n', '\n    return first + second\n'));
  await window.untilStatus(/taken 1: 21 characters/);
  await window.press('Control+Z');
  assert.equal(await window.saved(), ADD.replace('\n\n', '\n    \n'));
});

inWindow('Tab is a Tab where no ghost text is', { text: 'never', options: ['--confidence', '0'], content: ADD }, async (window) => {
  await window.goTo(2);
  await window.press('Tab');
  await window.type('pass');
  assert.equal(await window.saved(), ADD.replace('\n\n', '\n    pass\n'));
});

inWindow('what is shown can be typed through, and something else drops it', { text: 'return first + second', content: ADD }, async (window) => {
  await window.goTo(2);
  await window.type('    ');
  await window.untilGhost('return first + second');
  await window.type('retu', 80);
  await window.untilGhost('rn first + second');
  await window.type('x');
  await window.until(async () => !(await window.ghost()).includes('rn first'), async () => 'other ghost text or none');
  await window.press('Backspace');
  await window.type('rn fi', 80);
  await window.untilGhost('rst + second');
  await window.press('Tab');
  assert.equal(await window.saved(), ADD.replace('\n\n', '\n    return first + second\n'));
});

inWindow('a word at a time with Ctrl+Right, then the rest', { text: 'return first + second', content: ADD }, async (window) => {
  await window.goTo(2);
  await window.type('    ');
  await window.untilGhost('return first + second');
  await window.press('Control+ArrowRight');
  await window.until(async () => !(await window.ghost()).includes('return'), async () => 'one word less');
  await window.untilGhost('first + second');
  await window.press('Control+ArrowRight');
  await window.untilGhost('+ second');
  await window.screenshot('words');
  await window.untilStatus(/taken 0, 1 in part/);
  await window.press('Tab');
  assert.equal(await window.saved(), ADD.replace('\n\n', '\n    return first + second\n'));
});

inWindow('Escape hides it and leaves the text alone', { text: 'return first + second', content: ADD }, async (window) => {
  await window.goTo(2);
  await window.type('    ');
  await window.untilGhost('return first + second');
  await window.press('Escape');
  await window.untilNoGhost();
  assert.equal(await window.saved(), ADD.replace('\n\n', '\n    \n'));
});

inWindow('fast typing loses and doubles no character', { text: 'return 1', options: ['--delay-ms', '30'], content: '' }, async (window) => {
  const lines = 'def f(a, b):\nvalue = [a for a in range(100) if a % 3]\nreturn value + "text"\n';
  await window.goTo(1);
  await window.type(lines.replaceAll('\n', ' ; '));
  await window.press('Escape');
  assert.equal(await window.saved(), lines.replaceAll('\n', ' ; '));
});

inWindow('a hole in the middle of a line', { text: 'first, second', content: 'total = add()\n' }, async (window) => {
  await window.goTo(1, 13);
  await window.press('Backspace');
  await window.type('(');
  await window.untilGhost('first, second');
  await window.screenshot('middle');
  await window.press('Tab');
  assert.equal(await window.saved(), 'total = add(first, second)\n');
});

const BLOCK = 'total = first + second\n    return total';

inWindow('several lines', { text: BLOCK, content: ADD }, async (window) => {
  await window.goTo(2);
  await window.type('    ');
  await window.untilGhost('return total');
  await window.screenshot('lines');
  await window.press('Tab');
  assert.equal(await window.saved(), ADD.replace('\n\n', `\n    ${BLOCK}\n`));
});

inWindow('a file with CRLF keeps it, in several lines too', { text: BLOCK, content: ADD.replaceAll('\n', '\r\n') }, async (window) => {
  await window.goTo(2);
  await window.type('    ');
  await window.untilGhost('return total');
  await window.press('Tab');
  const expected = ADD.replace('\n\n', `\n    ${BLOCK}\n`).replaceAll('\n', '\r\n');
  assert.equal(await window.saved(), expected);
});

inWindow('emoji before the cursor shift nothing', { text: 'size', content: 'smile = "😀👩‍👩‍👧", \n' }, async (window) => {
  await window.goTo(1, 100);
  await window.type('x.');
  await window.untilGhost('size');
  await window.screenshot('emoji');
  await window.press('Tab');
  assert.equal(await window.saved(), 'smile = "😀👩‍👩‍👧", x.size\n');
});

inWindow('asking by hand shows several answers in turn', { text: 'first', options: ['--other', 'second', '--other', 'first + second'], content: 'total = \n' }, async (window) => {
  await window.goTo(1, 100);
  await window.press('Alt+\\');
  await window.untilGhost('first');
  await window.press('Alt+]');
  await window.untilGhost('second');
  await window.screenshot('cycle');
  await window.press('Alt+[');
  await window.untilGhost('first');
  await window.press('Alt+]');
  await window.untilGhost('second');
  await window.press('Tab');
  assert.match(await window.saved(), /^total = (first \+ )?second\n$/);
});

inWindow('what is not sure stays away, until asked for by hand', { text: 'first', options: ['--confidence', '0.4'], content: 'total =\n' }, async (window) => {
  await window.goTo(1, 100);
  await window.type(' ');
  await window.noGhostFor(1500);
  await window.press('Alt+\\');
  await window.untilGhost('first');
});

inWindow('a setting takes effect at once', { text: 'first', options: ['--confidence', '0.4'], content: 'total =\n' }, async (window) => {
  await window.goTo(1, 100);
  await window.type(' ');
  await window.noGhostFor(1000);
  await window.changeSetting('quicksilver.minConfidence', 0.1);
  await window.goTo(1, 100);
  await window.type('2 + ');
  await window.untilGhost('first');
});

/** A notebook whose code cells hold these texts. */
function notebook(...texts) {
  const cells = texts.map((text) => ({ cell_type: 'code', execution_count: null, metadata: {}, outputs: [], source: [text] }));
  return JSON.stringify({ cells, metadata: { language_info: { name: 'python' } }, nbformat: 4, nbformat_minor: 5 });
}

test('a cell of a notebook is completed, the cells before it being known', { skip, timeout: 120_000 }, async (context) => {
  const record = join(server.root, 'record');
  const args = ['-P', SCRIPTED, '--text', 'first', '--confidence', '0.99', '--record', record];
  server.configure({ machine: { 'quicksilver.path': PYTHON, 'quicksilver.args': args } });
  const folder = server.workspace({ 'cells.ipynb': notebook('import os', 'total ='), 'sum.py': '' });
  const window = await Window.open(browser, server, folder, 'sum.py');
  try {
    await window.untilStatus(/ready/); // by then extensions run, and one of them knows notebooks
    await window.page.locator('.explorer-viewlet .monaco-list-row', { hasText: 'cells.ipynb' }).dblclick();
    await window.page.locator('.cell-list-container .view-lines').nth(1).click();
    await window.press('End');
    await window.type(' ');
    await window.untilGhost('first');
    await window.screenshot('notebook');
    assert.match(readFileSync(record, 'utf8'), /"prefix": "import os\\n+\\ntotal = "/);
  } catch (error) {
    await window.screenshot(`failed-${context.name.replace(/\W+/g, '-')}`);
    throw error;
  } finally {
    await window.close();
  }
});
