/**
 * The extension's own Python environments: folders below one of the extension's, and a file that names the finished
 * one. An installation that fails or is interrupted leaves the one before it unchanged.
 */

import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';

const POINTER = 'current.json';
const FOLDER = /^server-[0-9a-z]+$/;

/** The server's program in the finished environment, or undefined if there is none. */
export function installedProgram(environments: string, platform: NodeJS.Platform): string | undefined {
  const folder = currentFolder(environments);
  return folder === undefined ? undefined : programIn(folder, 'quicksilver', platform);
}

/** A program of an environment. */
export function programIn(environment: string, name: string, platform: NodeJS.Platform): string {
  return platform === 'win32'
    ? path.win32.join(environment, 'Scripts', `${name}.exe`)
    : path.posix.join(environment, 'bin', name);
}

/** A folder for a new environment; it does not exist yet. */
export function newFolder(environments: string, nowMs: number): string {
  mkdirSync(environments, { recursive: true });
  return path.join(environments, `server-${nowMs.toString(36)}`);
}

/** Make an environment the one in use. */
export function setCurrent(environments: string, folder: string): void {
  const draft = path.join(environments, `${POINTER}.new`);
  writeFileSync(draft, JSON.stringify({ folder: path.basename(folder) }));
  renameSync(draft, path.join(environments, POINTER));
}

/** Remove every environment but the one in use. */
export function removeOthers(environments: string): void {
  const current = currentFolder(environments);
  for (const name of readdirSync(environments)) {
    const folder = path.join(environments, name);
    if (FOLDER.test(name) && folder !== current) {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

function currentFolder(environments: string): string | undefined {
  try {
    const { folder } = JSON.parse(readFileSync(path.join(environments, POINTER), 'utf8')) as { folder: unknown };
    return typeof folder === 'string' && FOLDER.test(folder) ? path.join(environments, folder) : undefined;
  } catch {
    return undefined; // nothing installed, or the file is broken: then it is installed anew
  }
}
