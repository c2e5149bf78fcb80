// Colours for code, as far as one pattern for all languages can tell.

/** @typedef {{ text: string, kind: '' | 'comment' | 'string' | 'number' | 'keyword' }} Token */

const KEYWORDS = new Set(
  (
    'abstract and as assert async await begin bool break case catch chan class const continue def default defer del do ' +
    'double elif else elsif end enum except export extends extern false False finally float fn for foreach from func ' +
    'function global go goto if impl implements import in instanceof int interface is lambda let loop match mod module ' +
    'move mut new nil None nonlocal not null number or package pass private protected public pub raise range ref return ' +
    'Self self static str string struct super switch then this throw trait true True try type typeof undefined unless ' +
    'unsafe use using var virtual void when where while with yield SELECT FROM WHERE GROUP BY ORDER JOIN ON AS AND OR ' +
    'INSERT INTO VALUES UPDATE SET DELETE CREATE TABLE'
  ).split(' '),
);

/** Comments that begin with # in these languages; in others # is a character like any. */
const HASHES = new Set(['python', 'ruby', 'shellscript', 'yaml', 'toml', 'php', 'r']);

const WORDS = String.raw`(?<number>\b\d[\w.]*)|(?<word>[A-Za-z_]\w*)`;
const STRINGS = String.raw`(?<string>"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'|${'`'}(?:\\.|[^${'`'}\\])*${'`'}?)`;
const SLASHES = String.raw`\/\/[^\n]*|\/\*[^]*?(?:\*\/|$)`;

/** @param {string} text @param {string} language an LSP language id @returns {Token[]} */
export function highlight(text, language) {
  const comment = HASHES.has(language) ? '#[^\\n]*' : language === 'sql' || language === 'lua' ? '--[^\\n]*' : SLASHES;
  const pattern = new RegExp(`(?<comment>${comment})|${STRINGS}|${WORDS}`, 'g');
  /** @type {Token[]} */
  const tokens = [];
  let at = 0;
  for (const found of text.matchAll(pattern)) {
    const kind = kindOf(found.groups ?? {});
    if (kind === '') {
      continue;
    }
    if (found.index > at) {
      tokens.push({ text: text.slice(at, found.index), kind: '' });
    }
    tokens.push({ text: found[0], kind });
    at = found.index + found[0].length;
  }
  if (at < text.length) {
    tokens.push({ text: text.slice(at), kind: '' });
  }
  return tokens;
}

/** @param {Record<string, string | undefined>} groups @returns {Token['kind']} */
function kindOf(groups) {
  if (groups.word !== undefined) {
    return KEYWORDS.has(groups.word) ? 'keyword' : '';
  }
  return groups.comment !== undefined ? 'comment' : groups.string !== undefined ? 'string' : 'number';
}

/** Elements for a highlighted text. @param {string} text @param {string} language @returns {Node[]} */
export function highlighted(text, language) {
  return highlight(text, language).map(({ text: part, kind }) => {
    if (kind === '') {
      return document.createTextNode(part);
    }
    const span = document.createElement('span');
    span.className = kind;
    span.textContent = part;
    return span;
  });
}
