/** The server's stderr as lines of a log channel, each at its own level. */

import type { LogOutputChannel } from 'vscode';

export type Level = 'debug' | 'info' | 'warn' | 'error';

const LINE = /^\d{4}-\d\d-\d\d [\d:,]+ (DEBUG|INFO|WARNING|ERROR|CRITICAL) (.*)$/s;
const LEVELS: Record<string, Level> = { DEBUG: 'debug', INFO: 'info', WARNING: 'warn', ERROR: 'error', CRITICAL: 'error' };

/**
 * Splits a line of Python's logging into level and text, less the time, which the channel writes itself. A line of
 * another shape belongs to what stood before it (a traceback), so it has its level; at first that is an error.
 */
export function readLine(line: string, before: Level): { level: Level; text: string } {
  const match = LINE.exec(line);
  return match === null
    ? { level: before, text: line }
    : { level: LEVELS[match[1] as string] as Level, text: match[2] as string };
}

/** Writes what comes from a stream to a channel, line by line, and tells each line to `heard`. */
export function pipeToLog(
  stream: NodeJS.ReadableStream,
  channel: LogOutputChannel,
  heard: (text: string) => void = () => undefined,
): void {
  let rest = '';
  let level: Level = 'error';
  const write = (line: string): void => {
    if (line.trim() !== '') {
      const read = readLine(line, level);
      level = read.level;
      channel[level](read.text);
      heard(read.text.trim());
    }
  };
  stream.setEncoding?.('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split(/\r?\n/);
    rest = lines.pop() ?? '';
    lines.forEach(write);
  });
  stream.on('end', () => write(rest));
}
