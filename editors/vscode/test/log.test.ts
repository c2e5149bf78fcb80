import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { LogOutputChannel } from 'vscode';
import { pipeToLog, readLine } from '../src/log';
import { TraceChannel } from '../src/trace';
import { channels, LogLevel, setSetting } from './vscode';

test('a line of the server’s log keeps its level and loses its time', () => {
  const line = '2026-11-27 16:39:07,090 WARNING quicksilver.lsp_server.server: a change came late';
  assert.deepEqual(readLine(line, 'info'), { level: 'warn', text: 'quicksilver.lsp_server.server: a change came late' });
});

test('lines are put together from pieces, and a traceback has the level of its error', async () => {
  const said: string[] = [];
  const say = (level: string) => (text: string) => void said.push(`${level} ${text}`);
  const channel = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') };
  const stream = new PassThrough();
  pipeToLog(stream, channel as unknown as LogOutputChannel);
  const text = 'early\n2026-11-27 16:39:07,090 INFO a: one\n2026-11-27 16:39:07,091 ERROR b: two\n  File "x"\n\nlast';
  [text.slice(0, 20), text.slice(20, 61), text.slice(61)].forEach((piece) => stream.write(piece));
  stream.end();
  await new Promise((done) => stream.on('close', done));
  assert.deepEqual(said, ['error early', 'info a: one', 'error b: two', 'error   File "x"', 'error last']);
});

test('the setting alone switches the trace on and off, and its channel is made when first needed', () => {
  const trace = new TraceChannel();
  const levels: LogLevel[] = [];
  trace.onDidChangeLogLevel((level) => levels.push(level));
  trace.trace('unseen');
  assert.equal(channels.has(trace.name), false);
  setSetting('quicksilver.trace.server', 'verbose');
  trace.trace('seen');
  setSetting('quicksilver.trace.server', 'off');
  trace.trace('unseen');
  assert.deepEqual(levels, [LogLevel.Trace, LogLevel.Info]);
  assert.equal(channels.get(trace.name)?.length, 1);
  assert.ok(channels.get(trace.name)?.[0]?.endsWith(' seen'));
});
