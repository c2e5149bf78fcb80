// The page: what a person does, and what follows.
import { Candidates } from './candidates.js';
import { Editor } from './editor.js';
import { AccessError, fill, openSession, readModels, useKey } from './engine.js';
import { describe, isMultiline } from './hole.js';
import { showNumbers } from './numbers.js';
import { newRun, Pane } from './pane.js';
import { Player } from './player.js';
import { manageTheme } from './theme.js';

/** @typedef {import('./pane.js').Run} Run */

const LANGUAGES =
  'c cpp csharp css go html java javascript json kotlin lua markdown php python ruby rust shellscript sql typescript yaml'.split(' ');
const POLL_MS = 700;
const REMEMBERED = ' It guesses what it wrote here before, so this time it is faster.';
const IS_MAC = /Mac|iPhone|iPad/.test(navigator.platform);

/** An element of the page. @param {string} id @returns {any} */
const part = (id) => document.getElementById(id);

const language = part('language');
const policy = part('policy');
const candidates = new Candidates(part('candidates'), accept);
const editor = new Editor(part('code'), part('backdrop'), onEdit);
const canvasPane = new Pane(part('pane-canvas'));
const leftPane = new Pane(part('pane-left'));
const player = new Player(
  { play: part('play'), slider: part('slider'), clock: part('clock'), speed: part('speed') },
  [canvasPane, leftPane],
);

/** @type {import('./engine.js').Example[]} */
let examples = [];
let path = '';
/** The filling under way. @type {AbortController | null} */
let filling = null;
/** The filling whose runs the page shows; null once something else is shown. @type {AbortController | null} */
let shown = null;
/** What an accepted answer would replace: the text and the hole as they were asked about. @type {string | null} */
let asked = null;
/** All texts and holes that were asked about. @type {Set<string>} */
const askedBefore = new Set();
let model = ''; // its name, once it is known
/** @type {string[]} */
let taught = []; // the languages that it was taught, as far as that is known
let writesTokens = false; // whether the model fills no canvases

async function start() {
  manageTheme(part('theme'));
  showKeys();
  language.append(...LANGUAGES.map((each) => new Option(each)));
  language.addEventListener('change', () => {
    editor.speak(language.value);
    showTaught();
  });
  part('controls').addEventListener('submit', (/** @type {Event} */ event) => {
    event.preventDefault();
    void fillHole();
  });
  part('stop').addEventListener('click', stop);
  part('compare').addEventListener('change', showPanes);
  part('key-form').addEventListener('submit', onKey);
  document.addEventListener('keydown', onKeyDown);
  showPanes();
  try {
    await openSession();
    await connect();
  } catch (error) {
    explain(error);
  }
}

/** Learn about the model, waiting for it while it loads. */
async function connect() {
  let found = await readModels();
  if (examples.length === 0) {
    showExamples(found.examples);
  }
  while (found.status === 'loading') {
    showModel(found);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    found = await readModels();
  }
  showModel(found);
  say(found.status === 'ready' ? 'Ready.' : found.reason, found.status !== 'ready');
}

/** @param {import('./engine.js').Models} found */
function showModel({ status, model: name, facts, policies }) {
  model = name;
  taught = String(facts.languages ?? '').split(' ').filter(Boolean);
  showTaught();
  part('model-name').textContent = model || `${status}…`;
  part('model-state').className = `dot ${status === 'ready' ? 'ready' : status === 'loading' ? '' : 'bad'}`;
  part('facts').replaceChildren(
    ...Object.entries(facts).flatMap(([fact, value]) => {
      const term = document.createElement('dt');
      term.textContent = fact.replaceAll('_', ' ');
      const description = document.createElement('dd');
      description.textContent = typeof value === 'number' ? value.toLocaleString('en') : value;
      return [term, description];
    }),
  );
  writesTokens = status === 'ready' && policies.length === 0;
  policy.replaceChildren(
    new Option(writesTokens ? 'its own guesses' : 'automatic', ''),
    ...policies.map((each) => new Option(each)),
  );
  policy.disabled = writesTokens;
  part('title-canvas').textContent = part('column-canvas').textContent = writesTokens ? 'With guesses' : 'Diffusion';
  canvasPane.how.textContent = writesTokens ? 'several tokens a step, each verified' : 'any position, several a step';
  leftPane.how.textContent = 'one token a step';
}

/** Say so where the model does not know the language. */
function showTaught() {
  const isTaught = taught.length === 0 || taught.includes(language.value);
  part('taught').textContent = isTaught ? '' : `${model} was not taught it`;
}

/** @param {import('./engine.js').Example[]} found */
function showExamples(found) {
  examples = found;
  part('examples').replaceChildren(
    ...found.map((example, i) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = example.title;
      button.title = `Alt ${i + 1}`;
      button.addEventListener('click', () => showExample(i));
      return button;
    }),
  );
  if (editor.area.value === '') {
    showExample(0);
  }
}

/** @param {number} i */
function showExample(i) {
  const example = examples[i];
  if (example === undefined) {
    return;
  }
  stop();
  path = example.path;
  language.value = example.language;
  showTaught();
  editor.show({ prefix: example.prefix, masked: example.hole, suffix: example.suffix }, example.language);
  [...part('examples').children].forEach((button, n) => button.setAttribute('aria-pressed', String(n === i)));
  clear();
  say(model === '' ? '' : 'Ready.');
  editor.area.focus();
}

function clear() {
  shown = null;
  player.show([null, null]);
  for (const pane of [canvasPane, leftPane]) {
    pane.say('');
    pane.draw(newRun(editor.hole, editor.language), 0);
    pane.run = null;
  }
  candidates.show([]);
  showNumbers(part('numbers'), part('headline'), [null, null]);
  asked = null;
}

function showPanes() {
  const compares = part('compare').checked;
  part('pane-left').hidden = !compares;
  document.querySelector('.panes')?.classList.toggle('alone', !compares);
}

/** The text and the hole, to tell whether they are still those that were asked about. */
function place() {
  const { selectionStart, selectionEnd, value } = editor.area;
  return JSON.stringify([selectionStart, selectionEnd, value]);
}

function onEdit() {
  part('hole').textContent = describe(editor.hole);
}

/** @param {'canvas' | 'left-to-right'} mode @returns {import('./engine.js').Hole} */
function holeFor(mode) {
  const hole = editor.hole;
  const lines = part('lines').value;
  const nTokens = Math.floor(Number(part('max-tokens').value));
  return {
    prefix: hole.prefix,
    suffix: hole.suffix,
    language: language.value,
    path,
    multiline: lines === 'auto' ? isMultiline(hole) : lines === 'several',
    mode,
    policy: mode === 'canvas' && policy.value !== '' ? policy.value : null,
    budget_ms: part('budget').value === '' ? null : Number(part('budget').value),
    max_tokens: nTokens >= 1 ? nTokens : null,
    candidates: mode === 'canvas' && part('candidates-wanted').checked,
  };
}

/** Fill the hole, and then fill it again left to right: one after the other, so that each has the engine for itself. */
async function fillHole() {
  stop();
  const control = new AbortController();
  filling = control;
  const compares = part('compare').checked;
  const runs = [newRun(editor.hole, editor.language), compares ? newRun(editor.hole, editor.language) : null];
  const holes = [holeFor('canvas'), holeFor('left-to-right')];
  clear();
  shown = control;
  asked = place();
  const isRepeated = askedBefore.has(asked);
  askedBefore.add(asked);
  part('stop').hidden = false;
  try {
    for (const [i, run] of runs.entries()) {
      if (run !== null) {
        say(i === 0 ? 'Filling…' : 'Once more, left to right…');
        await follow(run, /** @type {import('./engine.js').Hole} */ (holes[i]), [canvasPane, leftPane][i], control.signal);
        showNumbers(part('numbers'), part('headline'), runs);
      }
    }
    say(outcomeOf(/** @type {Run} */ (runs[0])) + (isRepeated && writesTokens ? REMEMBERED : ''));
    player.show(runs);
    if (!matchMedia('(prefers-reduced-motion: reduce)').matches) {
      player.play();
    }
  } catch (error) {
    if (shown === control) {
      player.show(runs);
    }
    if (!control.signal.aborted) {
      explain(error);
    } else if (shown === control) {
      say('Stopped.');
    }
  } finally {
    if (filling === control) {
      filling = null;
      part('stop').hidden = true;
    }
  }
}

/** Ask, and draw each frame as it comes.
 * @param {Run} run @param {import('./engine.js').Hole} hole @param {Pane | undefined} pane @param {AbortSignal} signal */
async function follow(run, hole, pane, signal) {
  const tell = (/** @type {any} */ event) => {
    if (signal.aborted) {
      return; // it had been under way
    }
    if (event.type === 'frame') {
      run.frames.push(event);
      player.ms = event.elapsed_ms;
    } else if (event.type === 'answer') {
      run.answer = event;
      if (pane === canvasPane) {
        candidates.show([{ ...event, text: event.inserted }]);
      }
    } else if (event.type === 'candidates') {
      candidates.show([...candidates.all, ...event.candidates]);
    }
    pane?.draw(run, Infinity);
  };
  await fill(hole, tell, signal);
}

/** How a run ended, in words. @param {Run} run */
function outcomeOf({ answer, hole }) {
  if (answer === null || answer.inserted === '') {
    return 'The model has no text for this hole.';
  }
  if (answer.finish_reason === 'budget') {
    return 'The time was up first. Tab accepts what there is.';
  }
  return hole.masked !== '' && answer.inserted.trim() === hole.masked.trim() ? 'Filled, just as it was. Tab accepts.' : 'Filled. Tab accepts.';
}

function stop() {
  filling?.abort();
  filling = null;
  part('stop').hidden = true;
}

/** Put the chosen text into the hole. */
function accept() {
  const chosen = candidates.chosen;
  if (chosen === undefined || asked !== place()) {
    return false;
  }
  asked = null;
  editor.insert(chosen.text);
  say('Accepted.');
  return true;
}

/** @param {KeyboardEvent} event */
function onKeyDown(event) {
  if (document.querySelector('dialog[open]') === null && actOn(event)) {
    event.preventDefault();
  }
}

/** Do what a key stands for; whether it stands for anything here. @param {KeyboardEvent} event */
function actOn(event) {
  const target = /** @type {Element} */ (event.target);
  const isInCode = target === editor.area;
  const isInField = isInCode || target.matches('select, input:not([type=range], [type=checkbox])');
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    void fillHole();
    return true;
  }
  if (event.key === 'Escape') {
    return dismiss();
  }
  if (event.key === 'Tab') {
    return isInCode && !event.shiftKey && accept(); // otherwise it moves the focus, as everywhere
  }
  if (event.altKey && (event.code === 'BracketLeft' || event.code === 'BracketRight')) {
    candidates.move(event.code === 'BracketLeft' ? -1 : 1);
    return true;
  }
  if (event.altKey && /^Digit[1-9]$/.test(event.code)) {
    showExample(Number(event.code.slice(5)) - 1);
    return true;
  }
  if (event.key === ' ' && !isInField && !target.matches('button, summary, [type=checkbox]')) {
    player.toggle();
    return true;
  }
  if (event.key === '?' && !isInField) {
    part('keys').showModal();
    return true;
  }
  return false;
}

/** Stop what is under way, or let go of the answer that waits; whether there was either. */
function dismiss() {
  if (filling !== null) {
    stop();
    return true;
  }
  if (asked === null) {
    return false;
  }
  asked = null;
  say('Dismissed.');
  return true;
}

function showKeys() {
  part('show-keys').addEventListener('click', () => part('keys').showModal());
  if (IS_MAC) {
    document.querySelectorAll('kbd.mod').forEach((key) => (key.textContent = '⌘ ↵'));
  }
}

/** @param {Event} event */
async function onKey(event) {
  event.preventDefault();
  useKey(part('key').value);
  part('key').value = '';
  part('ask-key').close();
  say('Connecting…');
  try {
    await connect();
  } catch (error) {
    explain(error);
  }
}

/** @param {unknown} error */
function explain(error) {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof AccessError) {
    part('model-name').textContent = 'no access';
    part('key-reason').textContent = `${message}.`;
    part('ask-key').showModal();
  }
  say(message, true);
}

/** @param {string} message */
function say(message, isBad = false) {
  part('status').textContent = message;
  part('status').className = isBad ? 'status bad' : 'status';
}

void start();
