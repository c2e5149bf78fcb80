/** Finds the server's program: the setting, PATH, or the environment that the extension made. Starts nothing. */

import { accessSync, constants, statSync } from 'node:fs';
import * as path from 'node:path';
import { installedProgram } from './environment';

export const PROGRAM = 'quicksilver';

/** Where to look. `isProgram` says whether a file is there that can be started. */
export interface Surroundings {
  setting: string;
  searchPath: string;
  platform: NodeJS.Platform;
  home: string;
  environments: string;
  isProgram(file: string): boolean;
}

export type Location =
  | { found: true; command: string; source: 'setting' | 'PATH' | 'own' }
  | { found: false; wrongSetting: boolean; reason: string };

/** The program to start. A setting that is wrong is said to be wrong, and nothing else is tried. */
export function locateServer(around: Surroundings): Location {
  const wanted = around.setting.trim();
  if (wanted !== '') {
    return locateSetting(wanted, around);
  }
  const onPath = findOnPath(PROGRAM, around);
  if (onPath !== undefined) {
    return { found: true, command: onPath, source: 'PATH' };
  }
  const own = installedProgram(around.environments, around.platform);
  if (own !== undefined && around.isProgram(own)) {
    return { found: true, command: own, source: 'own' };
  }
  return { found: false, wrongSetting: false, reason: 'There is no `quicksilver` on PATH, and none is installed here.' };
}

function locateSetting(wanted: string, around: Surroundings): Location {
  const wrong = (reason: string): Location => ({ found: false, wrongSetting: true, reason });
  const command = resolveProgram(wanted, around);
  if (command === undefined) {
    return isName(wanted)
      ? wrong(`The setting quicksilver.path says ${wanted}, and there is no such program on PATH.`)
      : wrong(`The setting quicksilver.path must be an absolute path or a name on PATH, not ${wanted}.`);
  }
  return around.isProgram(command)
    ? { found: true, command, source: 'setting' }
    : wrong(`The setting quicksilver.path says ${wanted}, and there is no program that can be started.`);
}

/** What a person wrote, as an absolute path; undefined for a relative one and for a name that is not on PATH. */
export function resolveProgram(wanted: string, around: Omit<Surroundings, 'setting' | 'environments'>): string | undefined {
  if (isName(wanted)) {
    return findOnPath(wanted, around);
  }
  const rules = rulesOf(around.platform);
  const absolute = /^~[\\/]/.test(wanted) ? rules.join(around.home, wanted.slice(2)) : wanted;
  return rules.isAbsolute(absolute) ? rules.normalize(absolute) : undefined;
}

/** What the program is started with. A model is a folder, or a name that the server knows. */
export function argumentsWithModel(args: readonly string[], model: string, home: string): string[] {
  const wanted = model.trim();
  const folder = /^~[\\/]/.test(wanted) ? path.join(home, wanted.slice(2)) : wanted;
  return folder === '' ? [...args] : [...args, '--model', folder];
}

function isName(wanted: string): boolean {
  return !/[\\/]/.test(wanted);
}

/**
 * The first program of that name on PATH. Relative entries of PATH are passed over: they would mean a folder of the
 * workspace, and a workspace must not say what is started.
 */
export function findOnPath(
  name: string,
  around: Pick<Surroundings, 'searchPath' | 'platform' | 'isProgram'>,
): string | undefined {
  const rules = rulesOf(around.platform);
  const names = around.platform === 'win32' && !/\.exe$/i.test(name) ? [`${name}.exe`] : [name];
  for (const folder of around.searchPath.split(rules.delimiter)) {
    if (!rules.isAbsolute(folder)) {
      continue;
    }
    const found = names.map((each) => rules.join(folder, each)).find((file) => around.isProgram(file));
    if (found !== undefined) {
      return found;
    }
  }
  return undefined;
}

function rulesOf(platform: NodeJS.Platform): path.PlatformPath {
  return platform === 'win32' ? path.win32 : path.posix;
}

/** Whether a file is there that this user may start. */
export function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
