// The playground as a person meets it, by keyboard, in a browser that may reach nothing but the playground itself.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, missing, Page, Playground } from './page.mjs';

const skip = missing() ?? false;
let playground, browser;

before(async () => {
  if (!skip) {
    playground = await new Playground().start();
    browser = await launchBrowser();
  }
});

after(async () => {
  await browser?.close();
  await playground?.stop();
});

/** A test on a page of its own; at its end nothing may have gone wrong there, and nothing been asked elsewhere. */
function onPage(name, options, body) {
  test(name, { skip, timeout: 120_000 }, async () => {
    const tab = await Page.open(browser, await playground.address(), options);
    try {
      await tab.untilStatus(/Ready/);
      await body(tab);
      assert.deepEqual(tab.faults, []);
    } catch (error) {
      await tab.screenshot(`failed-${name.replace(/\W+/g, '-')}`);
      throw error;
    } finally {
      await tab.close();
    }
  });
}

/** Type code and a hole in it, with keys alone. */
async function type(tab, left, masked, right) {
  await tab.part('code').focus();
  await tab.press('Control+a', 'Delete');
  await tab.page.keyboard.type(left + masked + right);
  for (let n = 0; n < right.length; n++) {
    await tab.press('ArrowLeft');
  }
  for (let n = 0; n < masked.length; n++) {
    await tab.press('Shift+ArrowLeft');
  }
}

onPage('the address works once, and the page keeps neither code nor token in its address', {}, async (tab) => {
  assert.match(tab.page.url(), /\/playground$/);
  await tab.page.reload();
  await tab.untilStatus(/Ready/);
  const again = await Page.open(browser, tab.page.url() + '#token=used-before');
  await again.part('ask-key').waitFor();
  assert.match(await again.text('#key-reason'), /used before/);
  assert.ok(again.faults.every((fault) => fault.includes('401')), String(again.faults));
  await again.close();
});

test('on the engine’s own port the page asks for the key', { skip, timeout: 120_000 }, async () => {
  const tab = await Page.open(browser, playground.engineAddress());
  await tab.part('ask-key').waitFor();
  await tab.page.keyboard.type('wrong-key-given');
  await tab.press('Enter');
  await tab.until(() => tab.requests.filter((address) => address.endsWith('/models')).length === 2, 'another question');
  await tab.untilStatus(/missing or wrong key/);
  await tab.page.keyboard.type(playground.key);
  await tab.press('Enter');
  await tab.untilStatus(/Ready/);
  await tab.press('Control+Enter');
  await tab.untilStatus(/no text/);
  assert.ok(tab.faults.every((fault) => fault.includes('401')), String(tab.faults));
  await tab.close();
});

onPage('a typed hole is filled with Ctrl+Enter, and Tab accepts', {}, async (tab) => {
  await type(tab, 'a = ', 'one', '; b');
  await tab.until(async () => (await tab.text('#hole')).includes('3 characters are masked'), 'three masked characters');
  await tab.press('Control+Enter');
  await tab.untilStatus(/Filled/);
  const asked = playground.events('start').at(-1);
  assert.equal(asked.prefix, 'a = ');
  for (const pane of ['canvas', 'left']) {
    assert.match(await tab.text(`#pane-${pane} .canvas`), /a = ; ba = ; b/); // the fake echoes suffix and prefix
  }
  assert.match(await tab.text('#numbers'), /Steps\s+256\s+256/);
  assert.match(await tab.text('#candidates'), /; ba =/);
  await tab.press('Tab');
  assert.equal(await tab.part('code').inputValue(), 'a = ; ba = ; b');
  await tab.press('Control+z');
  assert.equal(await tab.part('code').inputValue(), 'a = one; b');
});

onPage('the slider walks both runs, a step a key', {}, async (tab) => {
  await type(tab, 'left', '', 'right');
  await tab.press('Control+Enter');
  await tab.untilStatus(/Filled/);
  const slider = tab.part('slider');
  await slider.focus();
  await tab.press('Home');
  assert.equal(await slider.inputValue(), '0');
  assert.equal(await tab.page.locator('#pane-canvas .cell:not(.masked)').count(), 0);
  const seen = new Set();
  for (let step = 1; step <= 60; step++) {
    await tab.press('ArrowRight');
    assert.equal(await slider.inputValue(), String(step));
    seen.add(await tab.page.locator('#pane-canvas .cell.kept').count());
  }
  assert.ok(seen.size > 1 && [...seen].every((n, i, all) => i === 0 || n > all[i - 1]), 'text only grows');
  await tab.press('End');
  assert.equal(await tab.page.locator('.pane .cell.masked').count(), 0);
  assert.match(await slider.getAttribute('aria-valuetext'), /ms, (\d+) of \1/);
  await tab.press('Home', 'Space');
  assert.equal(await tab.part('play').getAttribute('aria-label'), 'Pause');
  await tab.press('Space');
  assert.equal(await tab.part('play').getAttribute('aria-label'), 'Play');
});

onPage('Esc stops the engine within a step', {}, async (tab) => {
  await type(tab, 'long', '', '');
  const n = playground.events('cancelled').length;
  await tab.press('Control+Enter');
  await tab.page.locator('#pane-canvas .cell.kept').first().waitFor();
  await tab.press('Escape');
  await tab.untilStatus(/Stopped/);
  await tab.until(() => playground.events('cancelled').length > n, 'the fake to be cancelled');
  assert.ok(playground.events('cancelled').at(-1).step < 256);
});

onPage('another example takes the place of what is under way', {}, async (tab) => {
  await tab.press('Alt+1', 'Control+Enter');
  await tab.page.locator('#pane-canvas .cell.kept').first().waitFor({ state: 'attached' });
  const n = playground.events('cancelled').length;
  await tab.press('Alt+2');
  await tab.until(() => playground.events('cancelled').length > n, 'the fake to be cancelled');
  await tab.page.waitForTimeout(300);
  assert.match(await tab.text('#pane-canvas .canvas'), /items\.reduce/);
  assert.equal(await tab.page.locator('.cell.kept').count(), 0);
  assert.equal(await tab.part('slider').isDisabled(), true);
});

onPage('everything is reached by Tab, with a ring around it', {}, async (tab) => {
  await type(tab, 'x', '', '');
  await tab.press('Control+Enter');
  await tab.untilStatus(/Filled/);
  await tab.press('Escape'); // dismissed: now Tab moves on
  const reached = [];
  for (let n = 0; n < 40; n++) {
    await tab.press('Tab');
    reached.push(await tab.focused());
    const ring = await tab.page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.ok(ring !== 'none' || reached.at(-1) === '' || (await tab.page.evaluate(() => document.activeElement === document.body)), reached.at(-1));
  }
  for (const id of ['policy', 'budget', 'max-tokens', 'lines', 'compare', 'candidates-wanted', 'fill', 'play', 'slider', 'speed', 'candidates', 'theme', 'show-keys', 'language', 'code']) {
    assert.ok(reached.includes(id), `${id} is not among ${reached}`);
  }
  assert.equal(await tab.page.locator('button:not([aria-label]):empty, select:not([aria-label]):not(label *)').count(), 0);
});

onPage('examples, keys and colours', { colorScheme: 'light' }, async (tab) => {
  const text = () => tab.part('code').inputValue();
  const seen = new Set();
  for (const key of ['Alt+1', 'Alt+2', 'Alt+3']) {
    await tab.press(key);
    seen.add(await text());
    assert.match(await tab.text('#hole'), /masked/);
  }
  assert.equal(seen.size, 3);
  await tab.part('fill').focus();
  await tab.press('?');
  await tab.part('keys').waitFor();
  await tab.press('Escape');
  await tab.part('keys').waitFor({ state: 'hidden' });
  const theme = () => tab.page.evaluate(() => document.documentElement.dataset.theme);
  assert.equal(await theme(), 'light');
  await tab.part('theme').focus();
  await tab.press('Enter', 'Enter');
  assert.equal(await theme(), 'dark');
  await tab.page.reload();
  await tab.untilStatus(/Ready/);
  assert.equal(await theme(), 'dark');
});

for (const colorScheme of ['dark', 'light']) {
  onPage(`pictures, ${colorScheme}`, { colorScheme }, async (tab) => {
    await tab.screenshot(`fake-${colorScheme}-before`);
    await tab.press('Control+Enter');
    await tab.untilStatus(/no text/); // what the fake says does not fit
    await tab.part('slider').focus();
    await tab.press('Home', ...Array.from({ length: 20 }, () => 'ArrowRight'));
    assert.ok((await tab.page.locator('#pane-canvas .cell.masked').count()) > 0);
    await tab.screenshot(`fake-${colorScheme}-middle`);
    await tab.press('End');
    await tab.screenshot(`fake-${colorScheme}-settled`);
  });
}
