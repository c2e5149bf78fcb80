import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { installedProgram } from '../src/environment';
import { consentFor, installSteps, whyFailed, whyNotPython, type Source } from '../src/installation';
import { bundledWheel, readWheel, type Wheel } from '../src/wheel';
import { install, InstallationError } from '../src/installer';

const DIGEST = 'a'.repeat(64);
const WHEEL: Wheel = { file: '/w/quicksilver_lsp-0.1.0-py3-none-any.whl', version: '0.1.0', sha256: DIGEST };
const FOLDER = { kind: 'folder', folder: '/w', version: '0.1.0' } as const;
const root = mkdtempSync(join(tmpdir(), 'quicksilver-install-'));
after(() => rmSync(root, { recursive: true }));

function pipLine(source: Source, pipArgs: string[] = []): string {
  const steps = installSteps('/usr/bin/python3', '/e', source, pipArgs, 'linux');
  return [steps[1]?.command, ...(steps[1]?.args ?? [])].join(' ');
}

test('an environment is made, filled and tried', () => {
  const steps = installSteps('/usr/bin/python3', '/e', { kind: 'wheel', wheel: WHEEL }, [], 'linux');
  assert.deepEqual(steps.map((step) => [step.command, ...step.args].join(' ')), [
    '/usr/bin/python3 -I -m venv /e',
    '/e/bin/python -I -m pip install --disable-pip-version-check --no-input --no-color --progress-bar off ' +
      `quicksilver-lsp @ file://${WHEEL.file}#sha256=${DIGEST}`,
    '/e/bin/quicksilver --version',
  ]);
});

test('a wheel is installed by its path and digest, with the person’s own arguments before it', () => {
  const line = pipLine({ kind: 'wheel', wheel: WHEEL }, ['--extra-index-url', 'X']);
  assert.ok(line.endsWith(` --extra-index-url X quicksilver-lsp @ file://${WHEEL.file}#sha256=${DIGEST}`), line);
});

test('from a folder the extension’s own version is installed and nothing is downloaded', () => {
  const line = pipLine(FOLDER, ['--pre']);
  assert.ok(line.endsWith(' --pre --no-index --find-links /w quicksilver-lsp==0.1.0'), line);
});

test('the server is never installed by its bare name', () => {
  for (const source of [FOLDER, { kind: 'wheel', wheel: WHEEL }] as const) {
    const words = installSteps('/usr/bin/python3', '/e', source, [], 'linux').flatMap((step) => step.args);
    assert.ok(!words.includes('quicksilver-lsp') && !words.includes('quicksilver'), words.join(' '));
  }
});

test('on Windows programs are in Scripts', () => {
  const steps = installSteps('C:\\py.exe', 'C:\\e', FOLDER, [], 'win32');
  assert.deepEqual(steps.slice(1).map((step) => step.command), ['C:\\e\\Scripts\\python.exe', 'C:\\e\\Scripts\\quicksilver.exe']);
});

test('consent names what is installed, and says whether anything is downloaded', () => {
  assert.match(consentFor(FOLDER, '0.1.0').detail, /Nothing is downloaded/);
  const { question, detail } = consentFor({ kind: 'wheel', wheel: WHEEL }, '0.1.0');
  assert.match(question, /quicksilver_lsp-0\.1\.0-py3-none-any\.whl/);
  assert.match(detail, /aaaa.*is downloaded/);
  assert.doesNotMatch(detail, /Mind/);
  assert.match(consentFor({ kind: 'wheel', wheel: WHEEL }, '0.2.0').detail, /version 0\.1\.0, and this extension is 0\.2\.0/);
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

function wheelSource(...parts: [string, string, string]): Source {
  const found = readWheel(wheel(...parts));
  assert.ok(found);
  return { kind: 'wheel', wheel: found };
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
  await begin(wheelSource('one', '0.1', 'print("quicksilver 0.1")'));
  assert.equal(installedVersion(), 'quicksilver 0.1');
  const broken = wheelSource('broken', '0.2', 'raise SystemExit("error: broken")');
  await assert.rejects(begin(broken), (error) => error instanceof InstallationError && /broken/.test(error.message));
  assert.equal(installedVersion(), 'quicksilver 0.1');
  const changed = { ...(wheelSource('changed', '0.2', 'print(1)') as { wheel: Wheel }).wheel, sha256: DIGEST };
  await assert.rejects(begin({ kind: 'wheel', wheel: changed }), /hash|HASH/);
  assert.equal(installedVersion(), 'quicksilver 0.1');
  await assert.rejects(begin(FOLDER, AbortSignal.abort(new Error('cancelled'))), /cancelled/);
  wheel('folder', '0.3', 'print("quicksilver 0.3")');
  await begin({ kind: 'folder', folder: join(root, 'folder'), version: '0.3' });
  assert.equal(installedVersion(), 'quicksilver 0.3');
  assert.equal(readdirSync(environments).length, 2, 'the pointer and one environment');
});

test('another version than the extension’s is not taken from a folder', options, async () => {
  wheel('other-version', '0.4', 'print("quicksilver 0.4")');
  const source: Source = { kind: 'folder', folder: join(root, 'other-version'), version: '0.5' };
  await assert.rejects(begin(source), /quicksilver-lsp==0\.5/);
});

test('a wheel comes with the extension only as it was packaged', options, () => {
  const extension = join(root, 'extension');
  assert.equal(bundledWheel(extension), undefined);
  const file = wheel(join('extension', 'server'), '0.1.0', 'print(1)');
  const told = (sha256: string): void => writeFileSync(join(extension, 'server', 'wheel.json'), JSON.stringify({ file: basename(file), sha256 }));
  told(readWheel(file)?.sha256 ?? '');
  assert.equal(bundledWheel(extension)?.file, file);
  told(DIGEST);
  assert.equal(bundledWheel(extension), undefined);
});

test('a wheel of another name is none of the server', () => {
  assert.equal(readWheel('/w/quicksilver-0.1.0-py3-none-any.whl'), undefined);
  assert.equal(readWheel('/w/notes.txt'), undefined);
});

test('no Python that will do is said plainly', options, async () => {
  const old = join(root, 'old-python');
  writeFileSync(old, '#!/bin/sh\necho "[3, 9, true, true]"\n', { mode: 0o755 });
  const quiet = { log: () => undefined, progress: () => undefined, signal: new AbortController().signal };
  const work = { source: FOLDER, environments: join(root, 'untouched'), pipArgs: [], ...quiet };
  await assert.rejects(install({ ...work, python: old }), /quicksilver\.python.*3\.9/);
  assert.equal(existsSync(work.environments), false);
});
