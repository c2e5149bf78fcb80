// Where the programs are that a test in a real VS Code needs. They come from the environment; tests are skipped without.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const here = import.meta.dirname;

export const REPOSITORY = resolve(here, '../../..');
export const CODE_SERVER = process.env.QUICKSILVER_CODE_SERVER;
export const NODE = process.env.QUICKSILVER_NODE ?? process.execPath;
export const CHROMIUM = process.env.QUICKSILVER_CHROMIUM;
export const SCREENSHOTS = process.env.QUICKSILVER_SCREENSHOTS;
export const VENV = process.env.QUICKSILVER_VENV ?? join(REPOSITORY, '.venv');
export const PYTHON = join(VENV, 'bin', 'python');
export const QUICKSILVER = join(VENV, 'bin', 'quicksilver');
export const SCRIPTED = join(REPOSITORY, 'tests', 'lsp_server', 'scripted_server.py');

const needed = {
  QUICKSILVER_CODE_SERVER: [CODE_SERVER, 'code-server’s entry.js'],
  QUICKSILVER_NODE: [NODE, 'the Node that runs code-server'],
  QUICKSILVER_CHROMIUM: [CHROMIUM, 'a Chromium'],
};

/** Why no test can run here, in one line, or undefined. */
export function missing() {
  for (const [name, [file, what]] of Object.entries(needed)) {
    if (file === undefined || !existsSync(file)) {
      return `${name} must name ${what} (e2e/setup.sh gets one)${file === undefined ? '' : `; there is none at ${file}`}`;
    }
  }
  return existsSync(PYTHON) ? undefined : `there is no ${PYTHON}; make venv, or set QUICKSILVER_VENV`;
}
