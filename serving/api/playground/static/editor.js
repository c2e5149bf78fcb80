// The editor: a text area whose selection, or cursor, is the hole, over a coloured copy of its text.
import { highlighted } from './highlight.js';
import { cut } from './hole.js';

export class Editor {
  /**
   * @param {HTMLTextAreaElement} area
   * @param {HTMLElement} backdrop
   * @param {() => void} changed called when the text or the hole has changed
   */
  constructor(area, backdrop, changed) {
    this.area = area;
    this.backdrop = backdrop;
    this.changed = changed;
    this.language = 'python';
    area.addEventListener('input', () => this.#note());
    area.addEventListener('scroll', () => this.#scroll());
    document.addEventListener('selectionchange', () => this.#note());
    area.addEventListener('selectionchange', () => this.#note());
    this.drawn = '';
  }

  /** The text, cut at the hole. */
  get hole() {
    return cut(this.area.value, this.area.selectionStart, this.area.selectionEnd);
  }

  /** Show another text, with a hole. @param {import('./hole.js').Cut} hole @param {string} language */
  show({ prefix, masked, suffix }, language) {
    this.language = language;
    this.area.value = prefix + masked + suffix;
    this.area.setSelectionRange(prefix.length, prefix.length + masked.length);
    this.area.scrollTop = 0;
    this.#note();
  }

  /** Colour the text for another language. @param {string} language */
  speak(language) {
    this.language = language;
    this.#note();
  }

  /** Put text into the hole, as a step that can be undone. @param {string} text */
  insert(text) {
    this.area.focus();
    if (!document.execCommand('insertText', false, text)) {
      this.area.setRangeText(text, this.area.selectionStart, this.area.selectionEnd, 'end');
    }
    this.#note();
  }

  #note() {
    const { prefix, masked, suffix } = this.hole;
    const now = JSON.stringify([this.language, prefix.length, masked.length, this.area.value]);
    if (now === this.drawn) {
      return;
    }
    this.drawn = now;
    const mark = document.createElement('span');
    mark.className = masked === '' ? 'hole cursor' : 'hole';
    mark.append(...highlighted(masked, this.language));
    this.backdrop.replaceChildren(
      ...highlighted(prefix, this.language),
      mark,
      ...highlighted(suffix, this.language),
      '\n\n',
    );
    this.#scroll();
    this.changed();
  }

  #scroll() {
    this.backdrop.scrollTop = this.area.scrollTop;
    this.backdrop.scrollLeft = this.area.scrollLeft;
  }
}
