// Takes the pictures playground-*.png of docs/images: the first example, before, in the middle and settled.
//
// `QUICKSILVER_MODEL=MODEL QUICKSILVER_SCREENSHOTS=FOLDER node tests/playground/pictures.mjs`. MODEL is a name or a folder.
// The middle is the step at which half of the canvas's steps are done.
import { launchBrowser, missing, Page, Playground } from './page.mjs';

const HEIGHT = 800;
const EXAMPLE = process.env.QUICKSILVER_EXAMPLE ?? 'Alt+1';

const reason = process.env.QUICKSILVER_SCREENSHOTS === undefined ? 'QUICKSILVER_SCREENSHOTS must name a folder' : missing();
if (reason !== undefined) {
  console.error(reason);
  process.exit(2);
}

/** Seek to the first place of the slider at which a pane shows that step. */
async function seek(tab, step) {
  await tab.press('Home');
  while (Number(/step (\d+)/.exec(await tab.text('#pane-canvas .progress'))?.[1]) < step) {
    await tab.press('ArrowRight');
  }
}

async function show(browser, playground, colorScheme) {
  const tab = await Page.open(browser, await playground.address(), { colorScheme, height: HEIGHT });
  const picture = async (name) => {
    await tab.page.evaluate(() => scrollTo(0, 0));
    await tab.screenshot(`${colorScheme}-${name}`);
  };
  try {
    await tab.untilStatus(/Ready/);
    await tab.press('Alt+2', 'Control+Enter'); // what is done once for a model is done with another example
    await tab.untilStatus(/Tab accepts|no text/);
    await tab.press(EXAMPLE);
    await picture('before');
    await tab.press('Control+Enter');
    await tab.untilStatus(/Tab accepts|no text/);
    await tab.part('slider').focus();
    const nSteps = Number(/of (\d+)/.exec(await tab.text('#pane-canvas .progress'))?.[1]);
    await seek(tab, Math.ceil(nSteps / 2));
    await picture('middle');
    await tab.press('End');
    await picture('settled');
    console.log(`${colorScheme}: ${await tab.text('#headline')}`);
    tab.faults.forEach((fault) => console.error(fault));
  } finally {
    await tab.close();
  }
}

const browser = await launchBrowser();
for (const colorScheme of ['dark', 'light']) {
  const playground = new Playground({ model: process.env.QUICKSILVER_MODEL ?? 'base' }); // a model that remembers nothing
  try {
    await show(browser, playground, colorScheme);
  } finally {
    await playground.stop();
  }
}
await browser.close();
