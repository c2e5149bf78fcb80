// Small problems in JavaScript: derive.py makes tasks of them. Each has a header, a body, and checks that are run.

// problem: runningTotals
/** Return the sums of the first 1, 2, 3, … numbers. */
export function runningTotals(numbers) {
// body
  const totals = [];
  let total = 0;
  for (const number of numbers) {
    total += number;
    totals.push(total);
  }
  return totals;
}
// check
assert.deepEqual(runningTotals([]), []);
assert.deepEqual(runningTotals([1, 2, -4, 10]), [1, 3, -1, 9]);

// problem: countWords
/** Count how often each word of a text occurs, whatever its case. */
export function countWords(text) {
// body
  const counts = new Map();
  for (const word of text.toLowerCase().split(/\s+/)) {
    if (word !== "") {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return counts;
}
// check
assert.deepEqual([...countWords("")], []);
assert.deepEqual([...countWords(" a B b\n A c")], [["a", 2], ["b", 2], ["c", 1]]);

// problem: groupBy
/** Group items by the key that a function gives for each of them. */
export function groupBy(items, keyOf) {
// body
  const groups = {};
  for (const item of items) {
    const key = keyOf(item);
    if (!(key in groups)) {
      groups[key] = [];
    }
    groups[key].push(item);
  }
  return groups;
}
// check
assert.deepEqual(groupBy([], (x) => x), {});
assert.deepEqual(groupBy([1, 2, 3, 4], (x) => x % 2 ? "odd" : "even"), { odd: [1, 3], even: [2, 4] });

// problem: parseQuery
/** Parse a query such as "?a=1&b=two%20words" into an object of texts. */
export function parseQuery(query) {
// body
  const result = {};
  const text = query.startsWith("?") ? query.slice(1) : query;
  for (const part of text.split("&")) {
    if (part === "") {
      continue;
    }
    const [name, value = ""] = part.split("=");
    result[decodeURIComponent(name)] = decodeURIComponent(value);
  }
  return result;
}
// check
assert.deepEqual(parseQuery(""), {});
assert.deepEqual(parseQuery("?a=1&b=two%20words&c"), { a: "1", b: "two words", c: "" });

// problem: toRoman
/** Write a number from 1 to 3999 in Roman numerals. */
export function toRoman(number) {
// body
  const values = [1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1];
  const signs = ["M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"];
  let roman = "";
  for (let i = 0; i < values.length; i++) {
    while (number >= values[i]) {
      roman += signs[i];
      number -= values[i];
    }
  }
  return roman;
}
// check
assert.equal(toRoman(4), "IV");
assert.equal(toRoman(1994), "MCMXCIV");

// problem: isBalanced
/** Tell whether every bracket of a text is closed by its like, in the right order. */
export function isBalanced(text) {
// body
  const closers = { "(": ")", "[": "]", "{": "}" };
  const expected = [];
  for (const sign of text) {
    if (sign in closers) {
      expected.push(closers[sign]);
    } else if (")]}".includes(sign) && expected.pop() !== sign) {
      return false;
    }
  }
  return expected.length === 0;
}
// check
assert.equal(isBalanced("a(b[c]{d})"), true);
assert.equal(isBalanced("(]"), false);
assert.equal(isBalanced("(("), false);

// problem: MaxStack
/** A stack that remembers the largest number in it. */
export class MaxStack {
// body
  constructor() {
    this.items = [];
    this.largest = [];
  }

  push(number) {
    const before = this.max();
    this.items.push(number);
    this.largest.push(before === undefined ? number : Math.max(before, number));
  }

  pop() {
    this.largest.pop();
    return this.items.pop();
  }

  max() {
    return this.largest[this.largest.length - 1];
  }
}
// check
const stack = new MaxStack();
for (const number of [3, 1, 7, 2]) stack.push(number);
assert.equal(stack.max(), 7);
assert.deepEqual([stack.pop(), stack.pop(), stack.max()], [2, 7, 3]);

// problem: chunk
/** Cut a list into parts of a size; the last one may be shorter. */
export function chunk(items, size) {
// body
  if (size < 1) {
    throw new RangeError("the size must be at least 1");
  }
  const parts = [];
  for (let start = 0; start < items.length; start += size) {
    parts.push(items.slice(start, start + size));
  }
  return parts;
}
// check
assert.deepEqual(chunk([1, 2, 3, 4, 5], 2), [[1, 2], [3, 4], [5]]);
assert.throws(() => chunk([1], 0), RangeError);

// problem: formatDuration
/** Write seconds as hours, minutes and seconds, such as "1:02:05". */
export function formatDuration(seconds) {
// body
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = seconds % 60;
  const padded = [minutes, rest].map((part) => String(part).padStart(2, "0"));
  return [hours, ...padded].join(":");
}
// check
assert.equal(formatDuration(0), "0:00:00");
assert.equal(formatDuration(3725), "1:02:05");

// problem: mergeDeep
/** Merge objects from left to right: nested objects are merged, everything else is replaced. */
export function mergeDeep(base, other) {
// body
  const merged = { ...base };
  for (const [key, value] of Object.entries(other)) {
    const before = merged[key];
    if (isObject(before) && isObject(value)) {
      merged[key] = mergeDeep(before, value);
    } else {
      merged[key] = value;
    }
  }
  return merged;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
// check
assert.deepEqual(mergeDeep({ a: { b: 1, c: 2 }, d: [1] }, { a: { b: 3 }, d: [2] }), { a: { b: 3, c: 2 }, d: [2] });
assert.deepEqual(mergeDeep({}, { a: null }), { a: null });

// problem: primesBelow
/** Return all primes below a limit. */
export function primesBelow(limit) {
// body
  const isComposite = new Array(limit).fill(false);
  const primes = [];
  for (let candidate = 2; candidate < limit; candidate++) {
    if (isComposite[candidate]) continue;
    primes.push(candidate);
    for (let multiple = candidate * candidate; multiple < limit; multiple += candidate) {
      isComposite[multiple] = true;
    }
  }
  return primes;
}
// check
assert.deepEqual(primesBelow(2), []);
assert.deepEqual(primesBelow(20), [2, 3, 5, 7, 11, 13, 17, 19]);

// problem: camelToSnake
/** Turn a name such as parseHttpUrl into parse_http_url. */
export function camelToSnake(name) {
// body
  let snake = "";
  for (const letter of name) {
    const lower = letter.toLowerCase();
    if (letter !== lower && snake !== "") {
      snake += "_";
    }
    snake += lower;
  }
  return snake;
}
// check
assert.equal(camelToSnake("parseHttpUrl"), "parse_http_url");
assert.equal(camelToSnake("Name"), "name");

// problem: memoize
/** Remember the results of a function of one argument. */
export function memoize(compute) {
// body
  const known = new Map();
  return (argument) => {
    if (!known.has(argument)) {
      known.set(argument, compute(argument));
    }
    return known.get(argument);
  };
}
// check
let nCalls = 0;
const square = memoize((x) => { nCalls += 1; return x * x; });
assert.deepEqual([square(3), square(3), square(4), nCalls], [9, 9, 16, 2]);

// problem: binarySearch
/** Return the index of a number in an ascending list, or -1. */
export function binarySearch(numbers, wanted) {
// body
  let low = 0;
  let high = numbers.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] === wanted) {
      return middle;
    }
    if (numbers[middle] < wanted) {
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return -1;
}
// check
assert.equal(binarySearch([1, 3, 5, 9], 9), 3);
assert.equal(binarySearch([1, 3, 5, 9], 4), -1);
assert.equal(binarySearch([], 4), -1);

// problem: parseCsvLine
/** Split a line of CSV at its commas; a field in double quotes may hold commas, and "" stands for a quote. */
export function parseCsvLine(line) {
// body
  const fields = [""];
  let isQuoted = false;
  for (let i = 0; i < line.length; i++) {
    const sign = line[i];
    if (sign === '"' && isQuoted && line[i + 1] === '"') {
      fields[fields.length - 1] += '"';
      i += 1;
    } else if (sign === '"') {
      isQuoted = !isQuoted;
    } else if (sign === "," && !isQuoted) {
      fields.push("");
    } else {
      fields[fields.length - 1] += sign;
    }
  }
  return fields;
}
// check
assert.deepEqual(parseCsvLine("a,b,"), ["a", "b", ""]);
assert.deepEqual(parseCsvLine('"a,""b""",c'), ['a,"b"', "c"]);

// problem: zip
/** Pair the items of two lists, as far as the shorter one goes. */
export function zip(left, right) {
// body
  const length = Math.min(left.length, right.length);
  const pairs = [];
  for (let i = 0; i < length; i++) {
    pairs.push([left[i], right[i]]);
  }
  return pairs;
}
// check
assert.deepEqual(zip([1, 2, 3], ["a", "b"]), [[1, "a"], [2, "b"]]);

// problem: range
/** Yield whole numbers from start up to, but without, stop. */
export function* range(start, stop, step = 1) {
// body
  if (step === 0) {
    throw new RangeError("the step must not be 0");
  }
  for (let number = start; step > 0 ? number < stop : number > stop; number += step) {
    yield number;
  }
}
// check
assert.deepEqual([...range(0, 5, 2)], [0, 2, 4]);
assert.deepEqual([...range(3, 0, -1)], [3, 2, 1]);

// problem: titleCase
/** Write every word of a title with a capital, but for short words inside it. */
export function titleCase(title) {
// body
  const small = new Set(["a", "an", "and", "of", "the", "to"]);
  const words = title.toLowerCase().split(" ");
  return words
    .map((word, i) => {
      if (i > 0 && small.has(word)) {
        return word;
      }
      return word.charAt(0).toUpperCase() + word.slice(1);
    })
    .join(" ");
}
// check
assert.equal(titleCase("THE lord of the rings"), "The Lord of the Rings");

// problem: Emitter
/** Calls listeners by the name of an event. */
export class Emitter {
// body
  #listeners = new Map();

  on(name, listener) {
    const listeners = this.#listeners.get(name) ?? [];
    this.#listeners.set(name, [...listeners, listener]);
    return () => this.off(name, listener);
  }

  off(name, listener) {
    const listeners = this.#listeners.get(name) ?? [];
    this.#listeners.set(name, listeners.filter((each) => each !== listener));
  }

  emit(name, ...values) {
    for (const listener of this.#listeners.get(name) ?? []) {
      listener(...values);
    }
  }
}
// check
const heard = [];
const emitter = new Emitter();
const off = emitter.on("a", (value) => heard.push(value));
emitter.emit("a", 1);
emitter.emit("b", 2);
off();
emitter.emit("a", 3);
assert.deepEqual(heard, [1]);

// problem: median
/** Return the median of numbers, null of none. */
export function median(numbers) {
// body
  if (numbers.length === 0) {
    return null;
  }
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length % 2 === 1) {
    return sorted[middle];
  }
  return (sorted[middle - 1] + sorted[middle]) / 2;
}
// check
assert.equal(median([]), null);
assert.equal(median([10, 9, 1]), 9);
assert.equal(median([4, 1, 3, 2]), 2.5);
