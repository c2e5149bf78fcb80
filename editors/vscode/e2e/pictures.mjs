// Takes the pictures coder-vscode-*.png of docs/images: ghost text of `coder` in the programs of examples/pictures.
//
// `QUICKSILVER_MODEL=MODEL npm run pictures`, MODEL being the folder of the model; QUICKSILVER_SCREENSHOTS names the folder
// of the pictures. All settings but budgetMs have their defaults; a busy machine needs more time. Where nothing is shown by
// itself, the key that asks is pressed. A line for each picture says what is shown, and after how long.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodeServer } from './codeServer.mjs';
import { missing, QUICKSILVER, REPOSITORY, SCREENSHOTS } from './place.mjs';
import { launchBrowser, Window } from './window.mjs';

const PROGRAMS = join(REPOSITORY, 'examples', 'pictures');
const MODEL = process.env.QUICKSILVER_MODEL;
const SIZE = { width: 860, height: 440 };
// What stands around the text is hidden, and the cursor does not blink.
const LOOK = { 'workbench.activityBar.location': 'hidden', 'editor.stickyScroll.enabled': false, 'editor.cursorBlinking': 'solid' };
const KEY_MS = 100;
const PATIENCE_MS = 6_000; // after the last key
const N_REQUESTS = 3; // on a busy machine the time may be up before there is an answer

/** Start the engine that the windows will ask, and wait for its first answer. */
function warm(server) {
  const env = { ...process.env, QUICKSILVER_HOME: join(server.root, 'engine') };
  const place = `${join(PROGRAMS, 'csv_summary.py')}:1:1`;
  execFileSync(QUICKSILVER, ['complete', '--invoke', '--model', MODEL, place], { env, stdio: 'ignore' });
}

/** Wait for ghost text. Gives the time that it took, undefined when none came. */
async function untilGhost(window) {
  const began = Date.now();
  while (Date.now() < began + PATIENCE_MS) {
    if ((await window.ghost()) !== '') {
      return Date.now() - began;
    }
    await window.page.waitForTimeout(25);
  }
  return undefined;
}

/** Type at one place, and take a picture of what comes. */
async function show(browser, server, { name, file, before, typed, gone }) {
  const parts = readFileSync(join(PROGRAMS, file), 'utf8').split(before + typed + gone);
  const left = parts[0] + before;
  const window = await Window.open(browser, server, server.workspace({ [file]: left + parts[1] }), file);
  try {
    await window.page.setViewportSize(SIZE);
    await window.untilStatus(/ready/);
    await window.press('Control+B'); // hides the side bar
    await window.goTo(left.split('\n').length, 100);
    await window.page.waitForTimeout(10_000); // the surroundings are read ahead
    await window.type(typed, KEY_MS);
    let how = 'by itself';
    let ms = await untilGhost(window);
    for (let n = 0; ms === undefined && n < N_REQUESTS; n++) {
      how = 'on request';
      await window.press('Alt+\\');
      ms = await untilGhost(window);
    }
    console.log(`${name}: ${how}, ${ms} ms after the last key: ${JSON.stringify(await window.ghost())}`);
    await window.page.waitForTimeout(1_500); // a later answer may say more; until what moves in has come to rest
    await window.page.screenshot({ path: join(SCREENSHOTS, `coder-vscode-${name}.png`) });
  } finally {
    await window.close();
  }
}

/** Why no picture can be taken, in one line, or undefined. */
function lacking() {
  if (MODEL === undefined) {
    return 'QUICKSILVER_MODEL must name the folder of the model';
  }
  return SCREENSHOTS === undefined ? 'QUICKSILVER_SCREENSHOTS must name a folder for the pictures' : missing();
}

const reason = lacking();
if (reason !== undefined) {
  console.error(reason);
  process.exit(2);
}
mkdirSync(SCREENSHOTS, { recursive: true });
const server = await CodeServer.start();
const browser = await launchBrowser();
try {
  server.configure({
    user: { 'quicksilver.budgetMs': 2_000, ...LOOK },
    machine: { 'quicksilver.path': QUICKSILVER, 'quicksilver.model': MODEL },
  });
  warm(server);
  for (const place of JSON.parse(readFileSync(join(PROGRAMS, 'places.json'), 'utf8'))) {
    await show(browser, server, place);
  }
} finally {
  await browser.close();
  await server.stop();
}
