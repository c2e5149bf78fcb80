import assert from 'node:assert/strict';
import { test } from 'node:test';
import { menuOf } from '../src/menu';
import { duration, faceOf, readStatus, type ServerStatus, type State } from '../src/status';

const clock = (): string => '14:05';
const plain: ServerStatus = { state: 'ready', message: 'nano, last answer in 31 ms', latency_ms: 31.2, model: 'nano', snoozed_until_ms: null };

function running(given: Partial<ServerStatus>): State {
  return { kind: 'running', status: { ...plain, ...given } };
}

test('a ready server shows the time of its last answer', () => {
  assert.equal(faceOf(running({}), clock).text, '$(sparkle) Quicksilver 31 ms');
  assert.equal(faceOf(running({ latency_ms: null }), clock).text, '$(sparkle) Quicksilver');
});

test('times are rounded as a person would say them', () => {
  assert.deepEqual([0.4, 31.2, 999.4, 999.6, 1234, 61_000].map(duration), ['0 ms', '31 ms', '999 ms', '1.0 s', '1.2 s', '61.0 s']);
});

test('each state has its own words', () => {
  const states: State[] = [
    { kind: 'idle' },
    { kind: 'missing', reason: 'none', wrongSetting: false },
    { kind: 'launching' },
    { kind: 'stopped', reason: 'died' },
    ...(['starting', 'ready', 'busy', 'off', 'snoozed', 'failed'] as const).map((state) => running({ state })),
  ];
  const faces = states.map((state) => faceOf(state, clock));
  const spoken = faces.map((face) => face.spoken);
  assert.deepEqual(spoken.filter((each, at) => spoken.indexOf(each) !== at), ['Quicksilver: starting']);
  faces.forEach((face) => assert.ok(/^\$\([a-z-]+(~spin)?\) Quicksilver/.test(face.text), face.text));
});

test('trouble is coloured, and nothing else', () => {
  const severity = (state: State): string => faceOf(state, clock).severity;
  assert.equal(severity(running({ state: 'failed' })), 'error');
  assert.equal(severity({ kind: 'stopped', reason: '' }), 'error');
  assert.equal(severity({ kind: 'missing', reason: '', wrongSetting: true }), 'warning');
  assert.equal(severity(running({ state: 'off' })), 'normal');
});

test('a snooze says until when', () => {
  assert.equal(faceOf(running({ state: 'snoozed', snoozed_until_ms: 1 }), clock).text, '$(bell-slash) Quicksilver until 14:05');
});

test('the lines hold the message and the counts, and no empty ones', () => {
  const counts = { shown: 12, accepted: 3, partially_accepted: 1, rejected: 8, characters: 140 };
  assert.deepEqual(faceOf(running({ counts }), clock).lines, [plain.message, 'Shown 12, taken 3, 1 in part: 140 characters']);
  const none = { shown: 2, accepted: 0, partially_accepted: 0, rejected: 2, characters: 0 };
  assert.deepEqual(faceOf(running({ counts: none, message: '' }), clock).lines, ['Model: nano', 'Shown 2, taken 0']);
});

test('only what is a status is read as one', () => {
  assert.deepEqual(readStatus(plain), plain);
  for (const wrong of [null, undefined, 'ready', {}, { state: 'dancing' }, { engine_log: '/x' }]) {
    assert.equal(readStatus(wrong), undefined);
  }
  const odd = { state: 'ready', message: 3, latency_ms: 'fast', model: [], snoozed_until_ms: NaN, why: ['a', 1] };
  assert.deepEqual(readStatus(odd), { state: 'ready', message: '', latency_ms: null, model: null, snoozed_until_ms: null, why: ['a'] });
});

test('the menu offers what can be done in the state at hand', () => {
  const commands = (state: State): string[] => menuOf(state, 'x.y').map((choice) => choice.command);
  assert.equal(commands({ kind: 'missing', reason: '', wrongSetting: false })[0], 'quicksilver.installServer');
  assert.equal(menuOf(running({ state: 'off' }), 'x.y')[0]?.label, '$(check) Switch on');
  assert.deepEqual(menuOf(running({ state: 'snoozed' }), 'x.y')[0]?.args, [0]);
  assert.ok(commands(running({})).includes('quicksilver.why'));
  assert.ok(!commands({ kind: 'stopped', reason: '' }).includes('quicksilver.toggle'));
  assert.deepEqual(menuOf({ kind: 'idle' }, 'x.y').at(-1)?.args, ['@ext:x.y']);
});
