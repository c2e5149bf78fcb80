/**
 * How the language server is installed into its own Python environment: the commands, and what their failures mean.
 * Nothing here runs before a person has agreed.
 */

import * as path from 'node:path';
import { pathToFileURL } from 'node:url';
import { programIn } from './environment';
import type { Wheel } from './wheel';

/** The name of the server's distribution. (`quicksilver` alone is somebody else's.) */
export const PACKAGE = 'quicksilver-lsp';
export const OLDEST_PYTHON: readonly [number, number] = [3, 11];
export const PYTHON_NAMES = ['python3', 'python3.14', 'python3.13', 'python3.12', 'python3.11', 'python'];

/**
 * Where the server comes from. A `folder` holds its wheel of that version and all that it needs. Never an index of
 * packages: the name is not registered there, and a stranger who registers it could say what runs here.
 */
export type Source = { kind: 'wheel'; wheel: Wheel } | { kind: 'folder'; folder: string; version: string };

export interface Step {
  title: string;
  command: string;
  args: string[];
}

/** Says what an interpreter is: its version, and whether it can make environments that have pip. */
export const PYTHON_QUESTION =
  'import importlib.util as u, json, sys; ' +
  'print(json.dumps([*sys.version_info[:2], *(u.find_spec(m) is not None for m in ("venv", "ensurepip"))]))';

/** Why an interpreter will not do, or null where it will. `answer` is what PYTHON_QUESTION printed. */
export function whyNotPython(answer: string): string | null {
  let told: unknown;
  try {
    told = JSON.parse(answer.trim());
  } catch {
    return 'it did not say which version it is';
  }
  const [major, minor, venv, ensurepip] = told as [number, number, boolean, boolean];
  if (major < OLDEST_PYTHON[0] || (major === OLDEST_PYTHON[0] && minor < OLDEST_PYTHON[1])) {
    return `it is Python ${major}.${minor}, and ${OLDEST_PYTHON.join('.')} or newer is needed`;
  }
  return venv && ensurepip ? null : 'it cannot make environments (on Debian and Ubuntu: apt install python3-venv)';
}

/** The commands that fill a new folder with an environment that has the server. */
export function installSteps(
  python: string,
  environment: string,
  source: Source,
  pipArgs: readonly string[],
  platform: NodeJS.Platform,
): Step[] {
  const own = programIn(environment, 'python', platform);
  return [
    { title: 'making an environment', command: python, args: ['-I', '-m', 'venv', environment] },
    { title: 'installing', command: own, args: ['-I', '-m', 'pip', ...pipInstall(source, pipArgs)] },
    { title: 'trying it', command: programIn(environment, 'quicksilver', platform), args: ['--version'] },
  ];
}

function pipInstall(source: Source, pipArgs: readonly string[]): string[] {
  const quiet = ['install', '--disable-pip-version-check', '--no-input', '--no-color', '--progress-bar', 'off'];
  switch (source.kind) {
    case 'wheel':
      return [...quiet, ...pipArgs, `${PACKAGE} @ ${pathToFileURL(source.wheel.file).href}#sha256=${source.wheel.sha256}`];
    case 'folder':
      return [...quiet, ...pipArgs, '--no-index', '--find-links', source.folder, `${PACKAGE}==${source.version}`];
  }
}

/** What a person agrees to before anything runs. `version` is the extension's own. */
export function consentFor(source: Source, version: string): { question: string; detail: string } {
  const heavy =
    'PyTorch is among it: several hundred megabytes, or several gigabytes on Linux, where pip takes the build with CUDA ' +
    'unless the setting quicksilver.pipArgs names an index of CPU builds.';
  switch (source.kind) {
    case 'wheel':
      return {
        question: `Install ${path.basename(source.wheel.file)}?`,
        detail: [
          `SHA-256 ${source.wheel.sha256}.`,
          ...(source.wheel.version === version ? [] : [`Mind: it is version ${source.wheel.version}, and this extension is ${version}.`]),
          `What it needs is downloaded from the package index that pip uses on this machine. ${heavy}`,
        ].join(' '),
      };
    case 'folder':
      return {
        question: `Install ${PACKAGE} ${source.version} from ${source.folder}?`,
        detail: 'Nothing is downloaded: pip takes everything from this folder.',
      };
  }
}

/** The lines of output that say why a command failed, in one line for people. */
export function whyFailed(step: Step, output: string): string {
  const lines = output.split(/\r?\n/).map((line) => line.trim());
  if (lines.some((line) => /Temporary failure in name resolution|Failed to establish a new connection|getaddrinfo/.test(line))) {
    return `${step.title} failed: the package index cannot be reached. With a folder that holds all wheels it works offline.`;
  }
  const telling = lines.filter((line) => /^(ERROR|error)\b/.test(line)).pop() ?? lines.filter((line) => line !== '').pop();
  return `${step.title} failed${telling === undefined ? '.' : `: ${telling}`}`;
}
