// The table of numbers: two runs of the same hole side by side.
import { compare, duration, measure } from './frames.js';

/** @typedef {import('./pane.js').Run} Run */
/** @typedef {import('./frames.js').Measures} Measures */

/** @type {[string, (m: Measures) => string][]} */
const ROWS = [
  ['Steps', (m) => String(m.steps)],
  ['Tokens', (m) => String(m.tokens)],
  ['Tokens a step', (m) => m.perStep.toFixed(1)],
  ['Time to write', (m) => duration(m.ms)],
  ['Tokens a second', (m) => String(Math.round(m.perSecond))],
  ['Context read before', (m) => `${m.context} tokens, ${m.cached} cached`],
  ['Time to read it', (m) => duration(m.prefillMs)],
];

/** @param {HTMLTableElement} table @param {HTMLElement} headline @param {(Run | null)[]} runs */
export function showNumbers(table, headline, runs) {
  const measures = runs.map((run) => (run?.answer ? measure(run.answer, run.frames) : null));
  const body = /** @type {HTMLTableSectionElement} */ (table.tBodies[0]);
  body.replaceChildren(
    ...ROWS.map(([name, read]) => {
      const row = document.createElement('tr');
      const head = document.createElement('th');
      head.scope = 'row';
      head.textContent = name;
      row.append(head);
      for (const each of measures) {
        row.insertCell().textContent = each === null ? '–' : read(each);
      }
      return row;
    }),
  );
  headline.replaceChildren(...headlineOf(runs, measures));
}

/** @param {(Run | null)[]} runs @param {(Measures | null)[]} measures @returns {(string | Node)[]} */
function headlineOf([first, second], [a, b]) {
  if (!first?.answer || !a) {
    return ['Fill a hole to see how long it takes.'];
  }
  if (!second?.answer || !b) {
    return [`${a.tokens} tokens in ${a.steps} steps, ${duration(a.ms)}.`];
  }
  const same = first.answer.inserted === second.answer.inserted ? 'The same text' : 'Another text';
  const gain = document.createElement('b');
  gain.textContent = [
    compare(a.steps, b.steps, 'fewer steps', 'more steps', 'as many steps'),
    compare(a.ms, b.ms, 'faster', 'slower', 'as fast'),
  ]
    .filter((text) => text !== '')
    .join(', ');
  return [gain, `. ${same} left to right.`];
}
