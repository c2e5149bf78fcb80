import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { installedProgram } from '../src/environment';
import { consentFor, installSteps, whyFailed, whyNotPython, type Source } from '../src/installation';
import { install, InstallationError } from '../src/installer';

const root = mkdtempSync(join(tmpdir(), 'quicksilver-install-'));
after(() => rmSync(root, { recursive: true }));

function pipLine(source: Source, pipArgs: string[] = []): string {
  const steps = installSteps('/usr/bin/python3', '/e', source, pipArgs, 'linux');
  return [steps[1]?.command, ...(steps[1]?.args ?? [])].join(' ');
}

test('an environment is made, filled and tried', () => {
  const steps = installSteps('/usr/bin/python3', '/e', { kind: 'package' }, [], 'linux');
  assert.deepEqual(steps.map((step) => [step.command, ...step.args].join(' ')), [
    '/usr/bin/python3 -I -m venv /e',
    '/e/bin/python -I -m pip install --disable-pip-version-check --no-input --no-color --progress-bar off quicksilver-lsp',
    '/e/bin/quicksilver --version',
  ]);
});

test('a wheel is installed by its path, with the person’s own arguments before it', () => {
  assert.ok(pipLine({ kind: 'wheel', file: '/w/q.whl' }, ['--extra-index-url', 'X']).endsWith(' --extra-index-url X /w/q.whl'));
});

test('from a folder nothing is downloaded, whatever the person’s arguments', () => {
  const line = pipLine({ kind: 'folder', folder: '/w' }, ['--pre']);
  assert.ok(line.endsWith(' --pre --no-index --find-links /w quicksilver-lsp'), line);
});

test('on Windows programs are in Scripts', () => {
  const steps = installSteps('C:\\py.exe', 'C:\\e', { kind: 'package' }, [], 'win32');
  assert.deepEqual(steps.slice(1).map((step) => step.command), ['C:\\e\\Scripts\\python.exe', 'C:\\e\\Scripts\\quicksilver.exe']);
});

test('consent names what is installed, and says whether anything is downloaded', () => {
  assert.match(consentFor({ kind: 'folder', folder: '/w' }).detail, /Nothing is downloaded/);
  assert.match(consentFor({ kind: 'wheel', file: '/w/q.whl' }).question, /q\.whl/);
  assert.match(consentFor({ kind: 'package' }).question, /Download/);
});

test('a Python must be new enough and able to make environments', () => {
  assert.equal(whyNotPython('[3, 11, true, true]\n'), null);
  assert.equal(whyNotPython('[4, 0, true, true]'), null);
  assert.match(whyNotPython('[3, 10, true, true]') ?? '', /3\.10.*3\.11 or newer/);
  assert.match(whyNotPython('[3, 12, true, false]') ?? '', /python3-venv/);
  assert.match(whyNotPython('') ?? '', /version/);
});

test('a failure is told in one line: the last error of pip, or that there is no network', () => {
  const step = { title: 'installing', command: '', args: [] };
  const pip = 'Looking\nERROR: Could not find a version\nERROR: No matching distribution found for x\n\n[notice] new pip\n';
  assert.equal(whyFailed(step, pip), 'installing failed: ERROR: No matching distribution found for x');
  assert.match(whyFailed(step, 'Failed to establish a new connection: x\nERROR: y'), /cannot be reached/);
  assert.equal(whyFailed(step, ''), 'installing failed.');
});

// What follows runs the real thing, with a Python of this machine and wheels made here; it needs no network.

const python = spawnSync('python3', ['-c', 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))']).status === 0;
const options = { skip: python ? false : 'needs python3 (3.11 or newer) with ensurepip' };
const environments = join(root, 'environments');

/** A wheel of the server's name whose program prints a version, as pip wants a wheel to be. */
function wheel(name: string, version: string, prints: string): string {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  const script = `
import sys, zipfile
folder, version, prints = sys.argv[1:]
file = f"{folder}/quicksilver_lsp-{version}-py3-none-any.whl"
info = f"quicksilver_lsp-{version}.dist-info"
with zipfile.ZipFile(file, "w") as wheel:
    wheel.writestr("quicksilver_fake.py", f"def main():\\n    {prints}\\n")
    wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: quicksilver-lsp\\nVersion: {version}\\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\\nquicksilver = quicksilver_fake:main\\n")
    wheel.writestr(f"{info}/RECORD", "")
print(file)`;
  const made = spawnSync('python3', ['-c', script, folder, version, prints], { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  return made.stdout.trim();
}

function begin(source: Source, signal = new AbortController().signal): Promise<void> {
  const quiet = { log: () => undefined, progress: () => undefined };
  return install({ source, environments, python: '', pipArgs: ['--no-index'], signal, ...quiet });
}

function installedVersion(): string {
  const program = installedProgram(environments, process.platform);
  return program === undefined ? '' : spawnSync(program, { encoding: 'utf8' }).stdout.trim();
}

test('a wheel is installed, then replaced; a failure and a cancel leave the old one', options, async () => {
  await begin({ kind: 'wheel', file: wheel('one', '0.1', 'print("quicksilver 0.1")') });
  assert.equal(installedVersion(), 'quicksilver 0.1');
  const broken = wheel('broken', '0.2', 'raise SystemExit("error: broken")');
  await assert.rejects(begin({ kind: 'wheel', file: broken }), (error) => error instanceof InstallationError && /broken/.test(error.message));
  assert.equal(installedVersion(), 'quicksilver 0.1');
  await assert.rejects(begin({ kind: 'wheel', file: join(root, 'none-1-py3-none-any.whl') }), InstallationError);
  await assert.rejects(begin({ kind: 'package' }, AbortSignal.abort(new Error('cancelled'))), /cancelled/);
  wheel('folder', '0.3', 'print("quicksilver 0.3")');
  await begin({ kind: 'folder', folder: join(root, 'folder') });
  assert.equal(installedVersion(), 'quicksilver 0.3');
  assert.equal(readdirSync(environments).length, 2, 'the pointer and one environment');
});

test('no Python that will do is said plainly', options, async () => {
  const old = join(root, 'old-python');
  writeFileSync(old, '#!/bin/sh\necho "[3, 9, true, true]"\n', { mode: 0o755 });
  const quiet = { log: () => undefined, progress: () => undefined, signal: new AbortController().signal };
  const work = { source: { kind: 'package' } as const, environments: join(root, 'untouched'), pipArgs: [], ...quiet };
  await assert.rejects(install({ ...work, python: old }), /quicksilver\.python.*3\.9/);
  assert.equal(existsSync(work.environments), false);
});
