/** The server's wheel: what its name says, its digest, and the one that may come with the extension. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as path from 'node:path';

const NAME = /^quicksilver_lsp-([0-9][0-9A-Za-z.+!]*)-[^/\\]+\.whl$/;

/** A wheel file of the server, as it was when its digest was taken. */
export interface Wheel {
  file: string;
  version: string;
  sha256: string;
}

/** A wheel file; undefined for one of another name. Raises where it cannot be read. */
export function readWheel(file: string): Wheel | undefined {
  const version = NAME.exec(path.basename(file))?.[1];
  return version === undefined ? undefined : { file, version, sha256: digestOf(file) };
}

/** The wheel that was packaged with the extension; undefined where none was, or it is not the one that was packaged. */
export function bundledWheel(extension: string): Wheel | undefined {
  const folder = path.join(extension, 'server');
  try {
    const told = JSON.parse(readFileSync(path.join(folder, 'wheel.json'), 'utf8')) as { file: string; sha256: string };
    const wheel = readWheel(path.join(folder, path.basename(told.file)));
    return wheel?.sha256 === told.sha256 ? wheel : undefined;
  } catch {
    return undefined; // packaged without one
  }
}

function digestOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
