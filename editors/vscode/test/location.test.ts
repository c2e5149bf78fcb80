import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { newFolder, programIn, setCurrent } from '../src/environment';
import { argumentsWithModel, isProgram, locateServer, type Surroundings } from '../src/location';

const root = mkdtempSync(join(tmpdir(), 'quicksilver-location-'));
after(() => rmSync(root, { recursive: true }));

function program(...parts: string[]): string {
  const file = join(root, ...parts);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, 0o755);
  return file;
}

function around(given: Partial<Surroundings>): Surroundings {
  const nothing = { setting: '', searchPath: '', platform: 'linux' as const, home: join(root, 'home') };
  return { ...nothing, environments: join(root, 'environments'), isProgram, ...given };
}

const first = program('first', 'quicksilver');
program('second', 'quicksilver');
const searchPath = [join(root, 'empty'), join(root, 'first'), join(root, 'second')].join(':');

test('the setting comes before PATH', () => {
  const mine = program('mine', 'qs');
  assert.deepEqual(locateServer(around({ setting: mine, searchPath })), { found: true, command: mine, source: 'setting' });
});

test('a setting may be a name on PATH, and may begin with ~', () => {
  assert.deepEqual(locateServer(around({ setting: 'quicksilver', searchPath })), { found: true, command: first, source: 'setting' });
  const home = program('home', 'bin', 'qs');
  assert.deepEqual(locateServer(around({ setting: '~/bin/qs' })), { found: true, command: home, source: 'setting' });
});

for (const setting of ['bin/qs', './qs', '../qs', '/no/such/program', 'no-such-name']) {
  test(`a wrong setting (${setting}) is said to be wrong, and PATH is not tried in its stead`, () => {
    const place = locateServer(around({ setting, searchPath }));
    assert.ok(!place.found && place.wrongSetting);
    assert.ok(place.reason.includes(setting));
  });
}

test('a file that cannot be started is no program', () => {
  const file = program('plain', 'quicksilver');
  chmodSync(file, 0o644);
  assert.equal(locateServer(around({ setting: file })).found, false);
  assert.equal(locateServer(around({ setting: root })).found, false);
});

test('PATH is searched in its order', () => {
  assert.deepEqual(locateServer(around({ searchPath })), { found: true, command: first, source: 'PATH' });
});

test('relative entries of PATH, which would be folders of the workspace, are passed over', () => {
  const asked: string[] = [];
  const look = (file: string): boolean => asked.push(file) > 0;
  const place = locateServer(around({ searchPath: '.::bin:node_modules/.bin', isProgram: look }));
  assert.equal(place.found, false);
  assert.deepEqual(asked, []);
});

test('on Windows the program is an .exe in a folder with a drive', () => {
  const wanted = 'C:\\Tools\\quicksilver.exe';
  const place = locateServer(around({ searchPath: '.;C:\\Tools', platform: 'win32', isProgram: (file) => file === wanted }));
  assert.deepEqual(place, { found: true, command: wanted, source: 'PATH' });
});

test('the own environment comes last, and only when it is finished', () => {
  const environments = join(root, 'environments');
  const folder = newFolder(environments, Date.now());
  const own = programIn(folder, 'quicksilver', 'linux');
  mkdirSync(join(own, '..'), { recursive: true });
  writeFileSync(own, '#!/bin/sh\n', { mode: 0o755 });
  assert.equal(locateServer(around({})).found, false);
  setCurrent(environments, folder);
  assert.deepEqual(locateServer(around({})), { found: true, command: own, source: 'own' });
  assert.deepEqual(locateServer(around({ searchPath })), { found: true, command: first, source: 'PATH' });
});

test('a note of the own environment that points elsewhere is not followed', () => {
  const environments = join(root, 'other');
  mkdirSync(environments);
  for (const text of ['{"folder": "../first"}', '{"folder": 3}', 'nonsense', 'null']) {
    writeFileSync(join(environments, 'current.json'), text);
    assert.deepEqual(locateServer(around({ environments })).found, false, text);
  }
});

test('a model is an argument, its folder below the home folder where it begins so', () => {
  assert.deepEqual(argumentsWithModel(['lsp'], '', '/home/ada'), ['lsp']);
  assert.deepEqual(argumentsWithModel(['lsp'], ' nano ', '/home/ada'), ['lsp', '--model', 'nano']);
  assert.deepEqual(argumentsWithModel(['lsp'], '~/models/nano', '/home/ada'), ['lsp', '--model', '/home/ada/models/nano']);
});
