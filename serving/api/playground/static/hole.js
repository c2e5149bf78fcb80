// A hole: text cut at a selection or at the cursor. Nothing here touches the page.

/** @typedef {{ prefix: string, masked: string, suffix: string }} Cut */

/** @param {string} text @param {number} start @param {number} end @returns {Cut} */
export function cut(text, start, end) {
  return { prefix: text.slice(0, start), masked: text.slice(start, end), suffix: text.slice(end) };
}

/** Whether an answer may have several lines: where lines are masked, or a line begins and nothing stands right of it.
 * @param {Cut} hole */
export function isMultiline({ prefix, masked, suffix }) {
  if (masked.includes('\n')) {
    return true;
  }
  const left = prefix.slice(prefix.lastIndexOf('\n') + 1);
  const right = suffix.slice(0, (suffix + '\n').indexOf('\n'));
  return left.trim() === '' && right.trim() === '';
}

/** The lines around a hole that fit beside its canvas. @param {Cut} hole @param {number} nBefore @param {number} nAfter */
export function surroundings({ prefix, suffix }, nBefore, nAfter) {
  return {
    before: prefix.split('\n').slice(-nBefore - 1).join('\n').replace(/^\n+/, ''),
    after: suffix.split('\n').slice(0, nAfter + 1).join('\n'),
  };
}

/** A hole in words. @param {Cut} hole */
export function describe({ prefix, masked }) {
  const line = prefix.split('\n').length;
  if (masked === '') {
    return `The hole is at the cursor, in line ${line}. Select text to mask it.`;
  }
  const nLines = masked.split('\n').length;
  const nCharacters = [...masked].length;
  const size = nLines > 1 ? `${nLines} lines are` : nCharacters > 1 ? `${nCharacters} characters are` : 'A character is';
  return `${size} masked, from line ${line} on. The engine does not see what is masked.`;
}
