/** Runs an installation: finds a Python, goes through the steps, keeps the result or removes what was begun. */

import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { newFolder, removeOthers, setCurrent } from './environment';
import { installSteps, PYTHON_NAMES, PYTHON_QUESTION, whyFailed, whyNotPython, type Source, type Step } from './installation';
import { isProgram, resolveProgram } from './location';

/** An installation that cannot be done, in one line for people. */
export class InstallationError extends Error {}

export interface Installation {
  source: Source;
  environments: string;
  python: string;
  pipArgs: readonly string[];
  signal: AbortSignal;
  log(line: string): void;
  progress(message: string): void;
}

/** Install the server and make it the one in use. Raises InstallationError; stops when `signal` says so. */
export async function install(work: Installation): Promise<void> {
  work.progress('looking for a Python');
  const python = await findPython(work);
  const environment = newFolder(work.environments, Date.now());
  try {
    for (const step of installSteps(python, environment, work.source, work.pipArgs, process.platform)) {
      work.progress(step.title);
      await runStep(step, work);
    }
    setCurrent(work.environments, environment);
  } catch (error) {
    rmSync(environment, { recursive: true, force: true });
    throw error;
  }
  removeOthers(work.environments);
}

/** The first Python that will do. */
async function findPython(work: Installation): Promise<string> {
  const around = { searchPath: process.env.PATH ?? '', platform: process.platform, home: homedir(), isProgram };
  const wanted = work.python.trim();
  const refusals: string[] = [];
  for (const name of wanted === '' ? PYTHON_NAMES : [wanted]) {
    const program = resolveProgram(name, around);
    if (program === undefined || !isProgram(program)) {
      continue;
    }
    const { code, output } = await run(program, ['-I', '-c', PYTHON_QUESTION], work);
    const refusal = code === 0 ? whyNotPython(output) : 'it does not start';
    if (refusal === null) {
      work.log(`Python: ${program}`);
      return program;
    }
    refusals.push(`${program}: ${refusal}`);
    work.log(`passed over ${program}: ${refusal}`);
  }
  const looked = wanted === '' ? 'No Python 3.11 or newer was found' : `quicksilver.python (${wanted}) will not do`;
  const why = refusals.length === 0 ? '' : ` (${refusals[0]})`;
  throw new InstallationError(`${looked}${why}. Install one, or set quicksilver.python.`);
}

async function runStep(step: Step, work: Installation): Promise<void> {
  work.log(`> ${[step.command, ...step.args].map((word) => (/[^\w./:=@+-]/.test(word) ? JSON.stringify(word) : word)).join(' ')}`);
  const { code, output } = await run(step.command, step.args, work);
  if (code !== 0) {
    throw new InstallationError(whyFailed(step, output));
  }
}

/** Run a program to its end, its lines logged; in a folder of ours, so that no workspace can slip modules in. */
function run(command: string, args: string[], work: Installation): Promise<{ code: number | null; output: string }> {
  work.signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const output: string[] = [];
    const child = spawn(command, args, { cwd: homedir(), stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true });
    const stop = (): void => void child.kill();
    work.signal.addEventListener('abort', stop, { once: true });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        output.push(text);
        text.split(/\r?\n/).filter((line) => line !== '').forEach((line) => work.log(line));
      });
    }
    child.on('error', (error) => reject(new InstallationError(`${command} cannot be started: ${error.message}`)));
    child.on('close', (code) => {
      work.signal.removeEventListener('abort', stop);
      if (work.signal.aborted) {
        reject(work.signal.reason);
      } else {
        resolve({ code, output: output.join('') });
      }
    });
  });
}
