// Small problems in TypeScript: derive.py makes tasks of them. Each has a header, a body, and checks that are run.

// problem: unique
/** Return the items of a list without those that came before. */
export function unique<T>(items: readonly T[]): T[] {
// body
  const seen = new Set<T>();
  const kept: T[] = [];
  for (const item of items) {
    if (!seen.has(item)) {
      seen.add(item);
      kept.push(item);
    }
  }
  return kept;
}
// check
assert.deepEqual(unique([3, 1, 3, 2, 1]), [3, 1, 2]);

// problem: indexBy
/** Make a map from the key of each item to the item; a later one wins. */
export function indexBy<T, K>(items: Iterable<T>, keyOf: (item: T) => K): Map<K, T> {
// body
  const index = new Map<K, T>();
  for (const item of items) {
    index.set(keyOf(item), item);
  }
  return index;
}
// check
assert.deepEqual([...indexBy(["one", "two", "three"], (word) => word.length)], [[3, "two"], [5, "three"]]);

// problem: clamp
/** Bring a number into the range from low to high. */
export function clamp(value: number, low: number, high: number): number {
// body
  if (low > high) {
    throw new RangeError(`${low} is more than ${high}`);
  }
  if (value < low) {
    return low;
  }
  return value > high ? high : value;
}
// check
assert.deepEqual([clamp(5, 0, 3), clamp(-1, 0, 3), clamp(2, 0, 3)], [3, 0, 2]);
assert.throws(() => clamp(0, 2, 1), RangeError);

// problem: parseVersion
export interface Version {
  major: number;
  minor: number;
  patch: number;
}

/** Parse a version such as "1.20.3"; null for a text that is none. */
export function parseVersion(text: string): Version | null {
// body
  const match = /^v?(\d+)\.(\d+)\.(\d+)$/.exec(text.trim());
  if (match === null) {
    return null;
  }
  const [major, minor, patch] = match.slice(1).map(Number);
  return { major, minor, patch };
}
// check
assert.deepEqual(parseVersion(" v1.20.3"), { major: 1, minor: 20, patch: 3 });
assert.equal(parseVersion("1.2"), null);

// problem: Counter
/** Counts how often each value was added. */
export class Counter<T> {
// body
  private readonly counts = new Map<T, number>();

  add(value: T, times = 1): this {
    this.counts.set(value, this.of(value) + times);
    return this;
  }

  of(value: T): number {
    return this.counts.get(value) ?? 0;
  }

  mostCommon(n: number): [T, number][] {
    const sorted = [...this.counts].sort((a, b) => b[1] - a[1]);
    return sorted.slice(0, n);
  }
}
// check
const counter = new Counter<string>().add("a").add("b", 3).add("a");
assert.deepEqual([counter.of("a"), counter.of("c")], [2, 0]);
assert.deepEqual(counter.mostCommon(1), [["b", 3]]);

// problem: partition
/** Divide items into those for which a test holds, and the others. */
export function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
// body
  const yes: T[] = [];
  const no: T[] = [];
  for (const item of items) {
    (test(item) ? yes : no).push(item);
  }
  return [yes, no];
}
// check
assert.deepEqual(partition([1, 2, 3, 4], (x) => x > 2), [[3, 4], [1, 2]]);

// problem: getPath
/** Follow a path of keys such as "a.b.0" into nested objects and lists; undefined where it leads nowhere. */
export function getPath(root: unknown, path: string): unknown {
// body
  let current: unknown = root;
  for (const key of path.split(".")) {
    if (typeof current !== "object" || current === null) {
      return undefined;
    }
    current = (current as Record<string, unknown>)[key];
  }
  return current;
}
// check
assert.equal(getPath({ a: { b: [7] } }, "a.b.0"), 7);
assert.equal(getPath({ a: 1 }, "a.b.c"), undefined);

// problem: Shape
export type Shape =
  | { kind: "circle"; radius: number }
  | { kind: "square"; side: number }
  | { kind: "rectangle"; width: number; height: number };

/** The area of a shape. */
export function area(shape: Shape): number {
// body
  switch (shape.kind) {
    case "circle":
      return Math.PI * shape.radius ** 2;
    case "square":
      return shape.side ** 2;
    case "rectangle":
      return shape.width * shape.height;
  }
}
// check
assert.equal(area({ kind: "square", side: 3 }), 9);
assert.equal(area({ kind: "rectangle", width: 2, height: 5 }), 10);
assert.equal(Math.round(area({ kind: "circle", radius: 1 }) * 100), 314);

// problem: Queue
/** A queue: what came first leaves first. */
export class Queue<T> {
// body
  private items: T[] = [];
  private head = 0;

  enqueue(item: T): void {
    this.items.push(item);
  }

  dequeue(): T | undefined {
    if (this.head >= this.items.length) {
      return undefined;
    }
    const item = this.items[this.head];
    this.head += 1;
    return item;
  }

  get length(): number {
    return this.items.length - this.head;
  }
}
// check
const queue = new Queue<number>();
queue.enqueue(1);
queue.enqueue(2);
assert.deepEqual([queue.dequeue(), queue.length, queue.dequeue(), queue.dequeue()], [1, 1, 2, undefined]);

// problem: sumBy
/** Add up the numbers that a function gives for items. */
export function sumBy<T>(items: readonly T[], valueOf: (item: T) => number): number {
// body
  let sum = 0;
  for (const item of items) {
    sum += valueOf(item);
  }
  return sum;
}
// check
assert.equal(sumBy([{ n: 1 }, { n: 4 }], (item) => item.n), 5);
assert.equal(sumBy([], () => 1), 0);

// problem: wrapText
/** Break a text into lines of at most width characters, between words. */
export function wrapText(text: string, width: number): string[] {
// body
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  if (line !== "") {
    lines.push(line);
  }
  return lines;
}
// check
assert.deepEqual(wrapText("the quick brown fox", 9), ["the quick", "brown fox"]);
assert.deepEqual(wrapText("", 9), []);

// problem: isPalindrome
/** Tell whether a text reads the same backwards, letters and digits alone. */
export function isPalindrome(text: string): boolean {
// body
  const signs = text.toLowerCase().replace(/[^a-z0-9]/g, "");
  let left = 0;
  let right = signs.length - 1;
  while (left < right) {
    if (signs[left] !== signs[right]) {
      return false;
    }
    left += 1;
    right -= 1;
  }
  return true;
}
// check
assert.equal(isPalindrome("A man, a plan, a canal: Panama"), true);
assert.equal(isPalindrome("abca"), false);

// problem: transpose
/** Turn the rows of a table into its columns. */
export function transpose<T>(rows: T[][]): T[][] {
// body
  if (rows.length === 0) {
    return [];
  }
  return rows[0].map((_, column) => rows.map((row) => row[column]));
}
// check
assert.deepEqual(transpose([[1, 2], [3, 4], [5, 6]]), [[1, 3, 5], [2, 4, 6]]);
assert.deepEqual(transpose([]), []);

// problem: LruCache
/** Keeps the values that were used last, as many as its capacity. */
export class LruCache<K, V> {
// body
  private readonly capacity: number;
  private readonly values = new Map<K, V>();

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get(key: K): V | undefined {
    const value = this.values.get(key);
    if (value !== undefined) {
      this.values.delete(key);
      this.values.set(key, value);
    }
    return value;
  }

  set(key: K, value: V): void {
    this.values.delete(key);
    this.values.set(key, value);
    if (this.values.size > this.capacity) {
      const oldest = this.values.keys().next().value as K;
      this.values.delete(oldest);
    }
  }
}
// check
const cache = new LruCache<string, number>(2);
cache.set("a", 1);
cache.set("b", 2);
cache.get("a");
cache.set("c", 3);
assert.deepEqual([cache.get("a"), cache.get("b"), cache.get("c")], [1, undefined, 3]);

// problem: gcd
/** The greatest common divisor of two whole numbers. */
export function gcd(a: number, b: number): number {
// body
  let [x, y] = [Math.abs(a), Math.abs(b)];
  while (y !== 0) {
    [x, y] = [y, x % y];
  }
  return x;
}
// check
assert.deepEqual([gcd(12, 18), gcd(-4, 6), gcd(7, 0)], [6, 2, 7]);

// problem: invert
/** Exchange the keys and the values of an object. */
export function invert(object: Record<string, string>): Record<string, string> {
// body
  const inverted: Record<string, string> = {};
  for (const [key, value] of Object.entries(object)) {
    if (value in inverted) {
      throw new Error(`the value ${value} stands twice`);
    }
    inverted[value] = key;
  }
  return inverted;
}
// check
assert.deepEqual(invert({ a: "x", b: "y" }), { x: "a", y: "b" });
assert.throws(() => invert({ a: "x", b: "x" }));

// problem: mergeIntervals
export type Interval = [number, number];

/** Merge intervals that overlap or touch, in ascending order. */
export function mergeIntervals(intervals: Interval[]): Interval[] {
// body
  const sorted = [...intervals].sort((a, b) => a[0] - b[0]);
  const merged: Interval[] = [];
  for (const [start, end] of sorted) {
    const last = merged[merged.length - 1];
    if (last !== undefined && start <= last[1]) {
      last[1] = Math.max(last[1], end);
    } else {
      merged.push([start, end]);
    }
  }
  return merged;
}
// check
assert.deepEqual(mergeIntervals([[5, 7], [1, 3], [2, 4]]), [[1, 4], [5, 7]]);

// problem: escapeHtml
/** Write a text so that HTML shows it as it is. */
export function escapeHtml(text: string): string {
// body
  const entities: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
  };
  return text.replace(/[&<>"]/g, (sign) => entities[sign]);
}
// check
assert.equal(escapeHtml('<a href="x">&</a>'), "&lt;a href=&quot;x&quot;&gt;&amp;&lt;/a&gt;");

// problem: Result
export type Result<T> = { ok: true; value: T } | { ok: false; error: string };

/** Parse a whole number from 0 to a limit. */
export function parseCount(text: string, limit: number): Result<number> {
// body
  if (!/^\d+$/.test(text)) {
    return { ok: false, error: `${text} is no whole number` };
  }
  const value = Number(text);
  if (value > limit) {
    return { ok: false, error: `${value} is more than ${limit}` };
  }
  return { ok: true, value };
}
// check
assert.deepEqual(parseCount("12", 20), { ok: true, value: 12 });
assert.equal(parseCount("x", 20).ok, false);
assert.equal(parseCount("21", 20).ok, false);

// problem: topologicalSort
/** Order tasks so that each comes after those that it needs. */
export function topologicalSort(needs: Map<string, string[]>): string[] {
// body
  const order: string[] = [];
  const state = new Map<string, "open" | "done">();
  const visit = (task: string): void => {
    if (state.get(task) === "done") {
      return;
    }
    if (state.get(task) === "open") {
      throw new Error(`${task} needs itself`);
    }
    state.set(task, "open");
    for (const needed of needs.get(task) ?? []) {
      visit(needed);
    }
    state.set(task, "done");
    order.push(task);
  };
  for (const task of needs.keys()) {
    visit(task);
  }
  return order;
}
// check
assert.deepEqual(topologicalSort(new Map([["c", ["b"]], ["b", ["a"]], ["a", []]])), ["a", "b", "c"]);
assert.throws(() => topologicalSort(new Map([["a", ["a"]]])));
