// One pane: a canvas between the lines that surround the hole, as it was at one moment of a run.
import { cutAfter, duration, frameAt, shapeOf, spansOf } from './frames.js';
import { highlighted } from './highlight.js';
import { surroundings } from './hole.js';

/** @typedef {import('./frames.js').Frame} Frame */
/** @typedef {{ frames: Frame[], answer: import('./frames.js').Answer | null, hole: import('./hole.js').Cut,
 *   language: string }} Run */

const N_BEFORE = 3;
const N_AFTER = 2;

/** @param {import('./hole.js').Cut} hole @param {string} language @returns {Run} */
export function newRun(hole, language) {
  return { frames: [], answer: null, hole, language };
}

export class Pane {
  /** @param {HTMLElement} figure */
  constructor(figure) {
    this.figure = figure;
    this.canvas = /** @type {HTMLElement} */ (figure.querySelector('.canvas'));
    this.progress = /** @type {HTMLElement} */ (figure.querySelector('.progress'));
    this.how = /** @type {HTMLElement} */ (figure.querySelector('.how'));
    /** @type {Run | null} */
    this.run = null;
    this.seed = 0;
  }

  /** Show nothing but why. @param {string} reason */
  say(reason) {
    this.run = null;
    this.canvas.textContent = reason;
    this.progress.textContent = '';
  }

  /** Draw the run as it stood at a time. @param {Run} run @param {number} ms */
  draw(run, ms) {
    this.run = run;
    const frame = frameAt(run.frames, ms);
    const last = run.frames.at(-1);
    const shape = shapeFor(run, frame);
    let spans = spansOf(frame, shape, this.seed);
    if (run.answer !== null && frame === last && run.answer.text.startsWith(run.answer.inserted)) {
      spans = cutAfter(spans, run.answer.inserted.length);
    }
    const { before, after } = surroundings(run.hole, N_BEFORE, N_AFTER);
    this.canvas.replaceChildren(
      around(before, run.language),
      ...spans.map(cellOf),
      around(after, run.language),
    );
    const n = last?.step ?? 0;
    const step = frame?.step ?? 0;
    const time = duration(Math.min(ms, last?.elapsed_ms ?? 0));
    this.progress.textContent = run.answer === null ? `step ${step}` : `step ${step} of ${n} · ${time}`;
  }

  /** Other noise under the masks. @param {number} ms the time that is drawn */
  flicker(ms) {
    this.seed += 1;
    if (this.run !== null && this.canvas.querySelector('.masked') !== null) {
      const frame = frameAt(this.run.frames, ms);
      const spans = spansOf(frame, shapeFor(this.run, frame), this.seed).filter((span) => span.state === 'masked');
      [...this.canvas.querySelectorAll('.masked')].forEach((cell, i) => {
        cell.textContent = spans[i]?.text ?? '';
      });
    }
  }
}

/** The shape of what is masked: that of the answer or, before there is any, of the text that a person masked.
 * @param {Run} run @param {Frame | undefined} frame */
function shapeFor(run, frame) {
  return run.answer !== null ? shapeOf(run.frames) : frame === undefined ? [run.hole.masked] : [];
}

/** @param {string} text @param {string} language */
function around(text, language) {
  const span = document.createElement('span');
  span.className = 'around';
  span.append(...highlighted(text, language));
  return span;
}

/** @param {import('./frames.js').Span} cell */
function cellOf({ text, state, level, title }) {
  const span = document.createElement('span');
  span.className = `cell ${state} c${level}`;
  span.title = title;
  span.textContent = text;
  return span;
}
