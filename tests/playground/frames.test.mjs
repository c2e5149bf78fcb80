// What the page computes: which frame is shown when, what is drawn for it, and the numbers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distinct } from '../../serving/api/playground/static/candidates.js';
import { EventReader } from '../../serving/api/playground/static/events.js';
import * as frames from '../../serving/api/playground/static/frames.js';
import { highlight } from '../../serving/api/playground/static/highlight.js';
import { cut, describe, isMultiline, surroundings } from '../../serving/api/playground/static/hole.js';

const cell = (text, state, confidence = 0.95) => ({ text, state, confidence });
const frame = (elapsed_ms, ...cells) => ({ step: elapsed_ms / 10, elapsed_ms, cells });
const RUN = [
  frame(10, cell('a', 'new'), cell('', 'masked', 0), cell('c', 'provisional', 0.31)),
  frame(20, cell('a', 'kept'), cell('b\n', 'new'), cell('c', 'kept', 0.31)),
  frame(40, cell('a', 'kept'), cell('b\n', 'kept')),
];
const OTHER = [frame(15, cell('x', 'new')), frame(40, cell('x', 'kept'))];

test('the slider has a place for each time at which either run changes', () => {
  assert.deepEqual(frames.timeline([RUN, OTHER]), [0, 10, 15, 20, 40]);
  assert.deepEqual(frames.timeline([[], []]), [0]);
});

test('a run shows its newest frame, and none before the first', () => {
  assert.equal(frames.frameAt(RUN, 9), undefined);
  assert.equal(frames.frameAt(RUN, 10), RUN[0]);
  assert.equal(frames.frameAt(RUN, 39), RUN[1]);
  assert.equal(frames.frameAt(RUN, Infinity), RUN[2]);
  assert.equal(frames.frameAt([], 5), undefined);
});

test('every time has the place of the change before it', () => {
  const times = frames.timeline([RUN, OTHER]);
  for (let ms = 0; ms < 60; ms++) {
    const place = frames.placeAt(times, ms);
    assert.ok(times[place] <= ms && (times[place + 1] ?? Infinity) > ms);
  }
});

test('the shape holds what stood in each cell last, also where it was cut off', () => {
  assert.deepEqual(frames.shapeOf(RUN), ['a', 'b\n', 'c']);
  assert.deepEqual(frames.shapeOf([frame(0, cell('no', 'refused'), cell('', 'masked'), cell('z', 'new'))]), ['', 'z']);
  assert.deepEqual(frames.shapeOf([]), []);
});

test('noise keeps blanks, line breaks and length, and depends on its seed alone', () => {
  const text = 'if (a):\n\treturn “b”';
  const drawn = frames.noise(text, 3);
  assert.equal(drawn, frames.noise(text, 3));
  assert.notEqual(drawn, frames.noise(text, 4));
  assert.equal([...drawn].length, [...text].length);
  assert.equal(drawn.replace(/[^\s]/g, 'x'), text.replace(/[^\s]/g, 'x'));
});

test('masks take the shape of what comes, and vanish where nothing came', () => {
  const spans = frames.spansOf(frame(0, cell('', 'masked'), cell('', 'masked'), cell('', 'masked')), ['ab', ' c'], 1);
  assert.deepEqual(spans.map((span) => [span.state, span.text.length]), [['masked', 2], ['masked', 2]]);
  assert.ok(spans[1].text.startsWith(' '));
  assert.deepEqual(frames.spansOf(undefined, ['ab']).map((span) => span.state), ['masked']);
  assert.ok(frames.spansOf(frame(0, cell('', 'masked')), [])[0].text.length > 0);
});

test('a long canvas of which nothing is known does not fill the pane', () => {
  const masks = Array.from({ length: 2_000 }, () => cell('', 'masked'));
  assert.ok(frames.spansOf({ step: 0, elapsed_ms: 0, cells: masks }, []).length < 100);
});

test('spans say state and certainty; what is predicted behind the end is not drawn', () => {
  const shape = ['a', 'b'];
  const spans = frames.spansOf(
    frame(0, cell('a', 'kept', 0.99), cell('no', 'refused', 0), cell('b', 'provisional', 0.31), cell('z', 'provisional', 0.5)),
    shape,
  );
  assert.deepEqual(spans.map((span) => [span.text, span.state, span.level]), [['a', 'kept', 9], ['no', 'refused', 0], ['b', 'provisional', 3]]);
  assert.equal(spans[0].title, 'committed, 99 %');
  assert.equal(spans[2].title, 'provisional, 31 %');
});

test('levels stay within ten', () => {
  assert.deepEqual([-1, 0, 0.0999, 0.1, 0.95, 1, 2].map(frames.levelOf), [0, 0, 0, 1, 9, 9, 9]);
});

test('what is cut off is marked, inside of a cell too', () => {
  const spans = frames.spansOf(frame(0, cell('ab', 'kept'), cell('no', 'refused'), cell('cd', 'new'), cell('ef', 'kept')), []);
  const marked = frames.cutAfter(spans, 3);
  assert.deepEqual(marked.map((span) => [span.text, span.state]), [['ab', 'kept'], ['no', 'refused'], ['c', 'new'], ['d', 'cut'], ['ef', 'cut']]);
  assert.equal(frames.cutAfter(spans, 99).every((span) => span.state !== 'cut'), true);
});

test('numbers of a run', () => {
  const answer = { steps: 4, n_tokens: 12, n_context: 30, n_cached: 20, timings_ms: { denoise: 200, prefill: 50 } };
  assert.deepEqual(frames.measure(answer, RUN), {
    steps: 4, tokens: 12, perStep: 3, ms: 200, perSecond: 60, prefillMs: 50, context: 30, cached: 20,
  });
  const bare = frames.measure({ ...answer, steps: 0, timings_ms: {} }, RUN);
  assert.deepEqual([bare.ms, bare.perStep, bare.prefillMs], [40, 0, 0]);
  assert.equal(frames.tokensPerSecond(5, 0), 0);
});

test('a candidate that is there twice is shown once, as it was judged last', () => {
  const each = (text, confidence) => ({ text, confidence, source: 'file', n_tokens: 1 });
  assert.deepEqual(distinct([each('a', 0), each('', 0.9), each('b', 0.2), each('a', 0.5)]), [each('a', 0.5), each('b', 0.2)]);
});

test('two numbers are compared in words', () => {
  const compare = (first, second) => frames.compare(first, second, 'faster', 'slower', 'as fast');
  assert.equal(compare(10, 25), '2.5× faster');
  assert.equal(compare(25, 10), '2.5× slower');
  assert.equal(compare(1, 20), '20× faster');
  assert.equal(compare(100, 103), 'as fast');
  assert.equal(compare(0, 20), '');
});

test('times are short to read', () => {
  assert.deepEqual([0, 3.14159, 312.7, 9_999, 12_345].map(frames.duration), ['0.0 ms', '3.1 ms', '313 ms', '9999 ms', '12.3 s']);
});

test('events come whole however the bytes are cut', () => {
  const values = [{ text: 'a\n\nb' }, { text: 'é😀' }, { end: true }];
  const bytes = new TextEncoder().encode(values.map((value) => `data: ${JSON.stringify(value)}\n\n`).join(''));
  for (let size = 1; size < 12; size++) {
    const reader = new EventReader();
    const found = [];
    for (let at = 0; at < bytes.length; at += size) {
      found.push(...reader.read(bytes.subarray(at, at + size)));
    }
    assert.deepEqual(found, values);
  }
});

test('colours change no text', () => {
  const codes = ['def f(a):  # no "string"\n  return "x # y"', "let a = `b ${c}`; // 'no'", 'it"s not closed', '"""a\nb', ''];
  for (const code of codes) {
    for (const language of ['python', 'typescript', 'sql']) {
      assert.equal(highlight(code, language).map((token) => token.text).join(''), code);
    }
  }
});

test('comments, strings, numbers and keywords are told apart', () => {
  const kinds = (code, language) => highlight(code, language).filter((token) => token.kind).map((token) => `${token.kind}:${token.text}`);
  assert.deepEqual(kinds('return 12 # a "b"', 'python'), ['keyword:return', 'number:12', 'comment:# a "b"']);
  assert.deepEqual(kinds("let s = 'a // b' // c", 'typescript'), ['keyword:let', "string:'a // b'", 'comment:// c']);
  assert.deepEqual(kinds("&'a str", 'rust'), ['keyword:str']);
});

test('a hole may have several lines where lines are masked or a line is empty', () => {
  const multiline = (prefix, masked, suffix) => isMultiline({ prefix, masked, suffix });
  assert.equal(multiline('def f():\n', '    a\n    b', '\n'), true);
  assert.equal(multiline('def f():\n    ', '', '\n'), true);
  assert.equal(multiline('x = ', '', '\n'), false);
  assert.equal(multiline('f(', 'a', ')\n'), false);
  assert.equal(multiline('    ', '', ')'), false);
});

test('the lines around a hole', () => {
  const hole = cut('1\n2\n3\n4\nab\n6\n7\n8', 9, 9);
  assert.equal(hole.prefix, '1\n2\n3\n4\na');
  assert.deepEqual(surroundings(hole, 2, 1), { before: '3\n4\na', after: 'b\n6' });
  assert.match(describe(hole), /line 5/);
  assert.match(describe(cut('a\nbcd', 2, 4)), /^2 characters are masked, from line 2/);
  assert.match(describe(cut('ab', 1, 2)), /^A character is masked/);
  assert.match(describe(cut('a\nb\nc', 0, 3)), /^2 lines are masked, from line 1/);
});
