// Frames of a canvas: what to draw for each, and how two runs stand side by side in time. Nothing here touches the page.

/** @typedef {'masked' | 'provisional' | 'new' | 'kept' | 'refused'} CellState */
/** @typedef {{ text: string, state: CellState, confidence: number }} Cell */
/** @typedef {{ step: number, elapsed_ms: number, cells: Cell[] }} Frame */
/** @typedef {{ text: string, inserted: string, finish_reason: string, confidence: number, source: string, model: string, steps: number,
 *   n_tokens: number, n_context: number, n_cached: number, timings_ms: Record<string, number> }} Answer */
/** @typedef {{ text: string, state: CellState | 'cut', level: number, title: string }} Span */
/** @typedef {{ steps: number, tokens: number, perStep: number, ms: number, perSecond: number, prefillMs: number,
 *   context: number, cached: number }} Measures */

const LEVELS = 10;
const NOISE = '░▒▚▞▖▗▘▝▙▟▛▜';
const UNKNOWN = '▒▒▒';
const SAME = 1.05; // times that differ by less are the same
const MAX_UNKNOWN = 48; // masks that are drawn where nobody knows what will come of them

/** The times at which something changes in any of the runs, in order; the first is 0. @param {Frame[][]} runs */
export function timeline(runs) {
  const times = new Set([0]);
  for (const frame of runs.flat()) {
    times.add(frame.elapsed_ms);
  }
  return [...times].sort((a, b) => a - b);
}

/** The frame that a run shows at a time; undefined before its first. @param {Frame[]} frames @param {number} ms */
export function frameAt(frames, ms) {
  let found;
  for (const frame of frames) {
    if (frame.elapsed_ms > ms) {
      break;
    }
    found = frame;
  }
  return found;
}

/** The last of times that is not after ms, as its place. @param {number[]} times @param {number} ms */
export function placeAt(times, ms) {
  let place = 0;
  while (place + 1 < times.length && /** @type {number} */ (times[place + 1]) <= ms) {
    place += 1;
  }
  return place;
}

/** The text that stood in each cell last, once a run is over: also of those that were cut off again in the end.
 * @param {Frame[]} frames */
export function shapeOf(frames) {
  /** @type {string[]} */
  const shape = [];
  for (const { cells } of frames) {
    cells
      .filter((cell) => cell.state !== 'refused')
      .forEach((cell, i) => {
        shape[i] = cell.state === 'masked' ? (shape[i] ?? '') : cell.text;
      });
  }
  return shape;
}

/** How sure, in ten levels. @param {number} confidence from 0 to 1 */
export function levelOf(confidence) {
  return Math.max(0, Math.min(LEVELS - 1, Math.floor(confidence * LEVELS)));
}

/** Noise with the line breaks, the blanks and the length of a text. @param {string} text @param {number} seed */
export function noise(text, seed) {
  let state = (seed * 2654435761 + 97) >>> 0;
  return [...text]
    .map((character) => {
      state = (state * 1664525 + 1013904223) >>> 0;
      return /\s/.test(character) ? character : NOISE[(state >>> 16) % NOISE.length];
    })
    .join('');
}

/**
 * What to draw for a frame. Masks take the shape of what came to stand there if that is known, and are left out where
 * nothing did. seed changes the noise only.
 * @param {Frame | undefined} frame undefined: before the first step, when all is masked
 * @param {string[]} shape
 * @param {number} seed
 * @returns {Span[]}
 */
export function spansOf(frame, shape, seed = 0) {
  const cells = frame?.cells ?? shape.map(() => masked);
  /** @type {Span[]} */
  const spans = [];
  let place = 0;
  let unknown = 0;
  for (const cell of cells) {
    const { state, confidence } = cell;
    if (state === 'refused') {
      spans.push({ text: cell.text, state, level: 0, title: 'refused' });
      continue;
    }
    let { text } = cell;
    let title = `${state === 'provisional' ? 'provisional' : 'committed'}, ${percent(confidence)}`;
    if (state === 'masked') {
      unknown += shape.length === 0 ? 1 : 0;
      text = shape.length === 0 ? (unknown <= MAX_UNKNOWN ? UNKNOWN : '') : (shape[place] ?? '');
      text = noise(text, seed + place);
      title = 'masked';
    } else if (state === 'provisional' && shape.length > 0 && place >= shape.length) {
      text = ''; // behind the end
    }
    place += 1;
    if (text !== '') {
      spans.push({ text, state, level: levelOf(confidence), title });
    }
  }
  return spans;
}

/** The spans, with those behind the first n code units marked as cut off. @param {Span[]} spans @param {number} n
 * @returns {Span[]} */
export function cutAfter(spans, n) {
  let rest = n;
  return spans.flatMap((span) => {
    if (span.state === 'refused') {
      return [span];
    }
    const kept = span.text.slice(0, rest);
    const gone = span.text.slice(rest);
    rest -= kept.length;
    /** @type {Span[]} */
    const parts = [{ ...span, text: kept }, { ...span, text: gone, state: 'cut', title: 'cut off: not a part of the hole' }];
    return parts.filter((part) => part.text !== '');
  });
}

/** @type {Cell} */
const masked = { text: '', state: 'masked', confidence: 0 };

/** @param {number} share from 0 to 1 */
export function percent(share) {
  return `${Math.round(share * 100)} %`;
}

/** @param {number} ms */
export function duration(ms) {
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Tokens a second; 0 where no time passed. @param {number} nTokens @param {number} ms */
export function tokensPerSecond(nTokens, ms) {
  return ms > 0 ? (1000 * nTokens) / ms : 0;
}

/** The numbers of a run that has ended. The time is that of writing, without reading the context.
 * @param {Answer} answer @param {Frame[]} frames @returns {Measures} */
export function measure(answer, frames) {
  const ms = answer.timings_ms.denoise || (frames.at(-1)?.elapsed_ms ?? 0);
  return {
    steps: answer.steps,
    tokens: answer.n_tokens,
    perStep: answer.steps > 0 ? answer.n_tokens / answer.steps : 0,
    ms,
    perSecond: tokensPerSecond(answer.n_tokens, ms),
    prefillMs: answer.timings_ms.prefill ?? 0,
    context: answer.n_context,
    cached: answer.n_cached,
  };
}

/** How a number compares with another, for people, such as "2.5× faster"; '' if that says nothing.
 * @param {number} first @param {number} second @param {string} less @param {string} more @param {string} same */
export function compare(first, second, less, more, same) {
  if (!(first > 0 && second > 0)) {
    return '';
  }
  const factor = Math.max(first, second) / Math.min(first, second);
  if (factor < SAME) {
    return same;
  }
  return `${factor < 10 ? factor.toFixed(1) : Math.round(factor)}× ${first <= second ? less : more}`;
}
