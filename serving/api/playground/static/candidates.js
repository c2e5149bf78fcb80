// The candidates: the texts that competed for the hole, one of them chosen to be accepted.
import { levelOf, percent } from './frames.js';

/** @typedef {import('./engine.js').Candidate} Candidate */

const N_LINES = 4; // of a long candidate that are shown

/** The candidates that have a text; one that is there twice stands where it is first, as it was judged last.
 * @param {Candidate[]} candidates @returns {Candidate[]} */
export function distinct(candidates) {
  return [...new Map(candidates.filter(({ text }) => text !== '').map((candidate) => [candidate.text, candidate])).values()];
}

export class Candidates {
  /** @param {HTMLElement} list @param {() => void} accept called when a person accepts the chosen one in the list */
  constructor(list, accept) {
    this.list = list;
    /** @type {Candidate[]} */
    this.all = [];
    this.place = 0;
    list.addEventListener('keydown', (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step !== undefined) {
        event.preventDefault();
        this.move(step);
      } else if (event.key === 'Enter') {
        event.preventDefault();
        accept();
      }
    });
    list.addEventListener('dblclick', accept);
  }

  /** The one that would be accepted. @returns {Candidate | undefined} */
  get chosen() {
    return this.all[this.place];
  }

  /** Show others, the first one chosen. @param {Candidate[]} candidates */
  show(candidates) {
    this.all = distinct(candidates);
    this.place = 0;
    this.list.replaceChildren(...this.all.map((candidate, i) => this.#item(candidate, i)));
    this.#mark();
  }

  /** Choose the next one, or the one before. @param {number} step */
  move(step) {
    if (this.all.length > 0) {
      this.place = (this.place + step + this.all.length) % this.all.length;
      this.#mark();
    }
  }

  /** @param {Candidate} candidate @param {number} i */
  #item({ text, source, confidence }, i) {
    const item = document.createElement('li');
    item.id = `candidate-${i}`;
    item.setAttribute('role', 'option');
    const code = document.createElement('pre');
    const lines = text.replace(/^\n+/, '').split('\n');
    code.textContent = lines.slice(0, N_LINES).join('\n') + (lines.length > N_LINES ? '\n…' : '');
    const from = document.createElement('span');
    from.className = 'source';
    from.textContent = source === 'denoiser' ? 'model' : source;
    const sure = document.createElement('span');
    sure.className = `sure c${levelOf(confidence)}`;
    sure.textContent = percent(confidence);
    item.append(code, from, sure);
    item.addEventListener('click', () => {
      this.place = i;
      this.#mark();
    });
    return item;
  }

  #mark() {
    [...this.list.children].forEach((item, i) => {
      item.setAttribute('aria-selected', String(i === this.place));
    });
    const chosen = this.list.children[this.place];
    if (chosen === undefined) {
      this.list.removeAttribute('aria-activedescendant');
    } else {
      this.list.setAttribute('aria-activedescendant', chosen.id);
      chosen.scrollIntoView({ block: 'nearest' });
    }
  }
}
