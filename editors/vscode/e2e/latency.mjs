// From a key to ghost text in a real VS Code, before a server that answers at once: `npm run latency -- [KEYS] [FILE.json]`.
//
// Times are the page's own: from a key's event to the first frame after the expected text has come into the page. The
// editor's own part is timed too: from a key to that key in the line, with the extension switched off.
import { writeFileSync } from 'node:fs';
import { CodeServer } from './codeServer.mjs';
import { missing, PYTHON } from './place.mjs';
import { launchBrowser, PATIENCE_MS, Window } from './window.mjs';

// Small and capital letters in turns: so an answer cannot be taken for the one before, which may still stand there.
const ANSWER = 'unmistakable';
const FIRST_LINE = 'value = 1\n';
const KEYS = 'zqxkvw'; // none of which the answer begins with
const N_SKIPPED = 5; // first keys
const PAUSE_MS = 300; // between two keys
const SERVER = ['-P', '-m', 'quicksilver.benchmarks.speed.instant_server', '--text', ANSWER];

/** In the page: note the time of a key, and of the first frame after wanted() holds. Gives ms. */
function watch({ selector, text }) {
  const holds = () => [...document.querySelectorAll(selector)].some((node) => node.textContent.replaceAll('\u00a0', ' ').includes(text));
  window.quicksilverTimes = new Promise((done) => {
    let key;
    const look = () => {
      if (key !== undefined && holds()) {
        observer.disconnect();
        const changed = performance.now();
        // A task posted in a frame's callback runs when that frame has been drawn.
        requestAnimationFrame(() => {
          const channel = new MessageChannel();
          channel.port1.onmessage = () => done({ changed: changed - key, drawn: performance.now() - key });
          channel.port2.postMessage(undefined);
        });
      }
    };
    const observer = new MutationObserver(look);
    observer.observe(document.body, { childList: true, subtree: true, characterData: true });
    window.addEventListener('keydown', (event) => (key = event.timeStamp), { capture: true, once: true });
  });
}

/** Type one letter after the other; wanted(line) says what must come, and where, after each. */
async function times(window, nKeys, wanted) {
  const ms = { changed: [], drawn: [] };
  let line = '';
  for (let i = 0; i < nKeys + N_SKIPPED; i++) {
    const key = KEYS[i % KEYS.length];
    line += key;
    await window.page.waitForTimeout(PAUSE_MS);
    await window.page.evaluate(watch, wanted(line));
    await window.press(key);
    const late = new Promise((_, failed) => setTimeout(() => failed(new Error(`nothing came after key ${i + 1}`)), PATIENCE_MS).unref());
    const one = await Promise.race([window.page.evaluate(() => window.quicksilverTimes), late]);
    if (i >= N_SKIPPED) {
      ms.changed.push(one.changed);
      ms.drawn.push(one.drawn);
    }
  }
  return { in_the_page: summary(ms.changed), on_the_screen: summary(ms.drawn) };
}

function summary(ms) {
  const sorted = [...ms].sort((one, other) => one - other);
  const at = (share) => Number(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(1));
  return { p50: at(0.5), p95: at(0.95), most: at(1) };
}

/** A window on an empty second line, with the extension on or off. */
async function open(browser, server, enabled) {
  server.configure({ user: { 'quicksilver.enabled': enabled }, machine: { 'quicksilver.path': PYTHON, 'quicksilver.args': SERVER } });
  const folder = server.workspace({ 'sample.py': `${FIRST_LINE}\n` });
  const window = await Window.open(browser, server, folder, 'sample.py');
  await window.untilStatus(enabled ? /ready|idle|Quicksilver/i : /off|disabled/i);
  await window.goTo(2);
  return window;
}

const grey = (line) => {
  const text = (FIRST_LINE.length + line.length) % 2 ? ANSWER.toUpperCase() : ANSWER;
  return { selector: '.ghost-text-decoration, .ghost-text', text };
};
const own = (line) => ({ selector: '.view-line', text: line });

const reason = missing();
if (reason !== undefined) {
  console.error(reason);
  process.exit(2);
}
const nKeys = Number(process.argv[2] ?? 90);
const server = await CodeServer.start();
const browser = await launchBrowser();
try {
  const result = { benchmark: 'vscode', date: new Date().toISOString(), keys: nKeys, ms: {} };
  for (const [name, enabled, wanted] of [['key_to_grey_text', true, grey], ['key_to_key_without_us', false, own]]) {
    const window = await open(browser, server, enabled);
    await window.page.waitForTimeout(5_000); // extensions of the editor itself start too
    result.ms[name] = await times(window, nKeys, wanted);
    await window.close();
  }
  console.log(JSON.stringify(result, undefined, 1));
  if (process.argv[3] !== undefined) {
    writeFileSync(process.argv[3], JSON.stringify(result, undefined, 1) + '\n');
  }
} finally {
  await browser.close();
  await server.stop();
}
