import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFileSync } from 'node:fs';
import { automaticLanguages, MODEL_LANGUAGES, PROCESS_SETTINGS, SERVER_SETTINGS, serverSettings } from '../src/settings';

interface Property {
  default?: unknown;
  scope?: string;
  markdownDescription?: string;
}
const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const properties: Record<string, Property> = Object.assign({}, ...manifest.contributes.configuration.map((part: { properties: object }) => part.properties));
const OWN = ['path', 'args', 'model', 'python', 'pipArgs', 'trace.server'];

test('the manifest has the server’s settings, the extension’s own, and no others', () => {
  const named = Object.keys(properties).map((name) => name.replace(/^quicksilver\./, ''));
  assert.deepEqual(named.sort(), [...SERVER_SETTINGS, ...OWN].sort());
});

test('every setting has a default and a description', () => {
  for (const [name, property] of Object.entries(properties)) {
    assert.notEqual(property.default, undefined, name);
    assert.ok((property.markdownDescription ?? '').length > 10, name);
  }
});

test('what names a program, or says how much is logged, is read from no workspace', () => {
  const restricted: string[] = manifest.capabilities.untrustedWorkspaces.restrictedConfigurations;
  for (const name of ['path', 'args', 'model', 'python', 'pipArgs', 'logLevel']) {
    assert.equal(properties[`quicksilver.${name}`]?.scope, 'machine', name);
    assert.ok(restricted.includes(`quicksilver.${name}`), name);
  }
  assert.equal(properties['quicksilver.trace.server']?.scope, 'machine');
});

test('the server is told its own settings only, and nothing of those that have no value', () => {
  const section: Record<string, unknown> = { minConfidence: 0.5, maxTokens: null, languages: ['go'], path: '/bin/sh', args: ['x'], 'trace.server': 'verbose', 'future.setting': 1 };
  assert.deepEqual(serverSettings((name) => section[name]), { minConfidence: 0.5, maxTokens: null, languages: ['go'] });
});

test('what only a new process takes over is not told', () => {
  const told: readonly string[] = SERVER_SETTINGS;
  assert.ok(PROCESS_SETTINGS.every((name) => !told.includes(name)));
});

test('languages that are no list of names count as none', () => {
  assert.deepEqual(automaticLanguages(['python', 3, null, 'go']), ['python', 'go']);
  assert.deepEqual(automaticLanguages('python'), []);
  assert.deepEqual(automaticLanguages(null), MODEL_LANGUAGES);
  assert.deepEqual(automaticLanguages(undefined), MODEL_LANGUAGES);
});

test('every command of the menus and walkthroughs exists, and the one key that is bound is that for asking, in every document', () => {
  const commands: string[] = manifest.contributes.commands.map((each: { command: string }) => each.command);
  const named = JSON.stringify(manifest.contributes.walkthroughs).match(/command:(quicksilver\.\w+)/g) ?? [];
  assert.ok(named.length > 0);
  const hidden = ['quicksilver.openSettings'];
  named.forEach((each) => assert.ok([...commands, ...hidden].includes(each.slice('command:'.length)), each));
  assert.deepEqual(manifest.contributes.keybindings, [
    { key: 'alt+\\', command: 'quicksilver.ask', when: 'editorTextFocus && !editorReadonly' },
  ]);
});
