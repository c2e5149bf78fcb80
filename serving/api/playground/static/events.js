// Server-sent events: bytes that come in parts become the JSON values that they carry.

export class EventReader {
  #decoder = new TextDecoder();
  #rest = '';

  /** The values that a part completes. @param {Uint8Array} part @returns {unknown[]} */
  read(part) {
    const blocks = (this.#rest + this.#decoder.decode(part, { stream: true })).split('\n\n');
    this.#rest = /** @type {string} */ (blocks.pop());
    return blocks.filter((block) => block.startsWith('data: ')).map((block) => JSON.parse(block.slice(6)));
  }
}
