import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askingReasons, editorReasons, plainReason } from '../src/why';

const fine = { scheme: 'file', languageId: 'python', inlineSuggest: true, languages: ['python'] };

test('an editor in which completions come gives no reason', () => {
  assert.deepEqual(editorReasons(fine), []);
});

test('each obstacle in the editor is named', () => {
  assert.match(editorReasons(undefined).join(), /cursor/);
  assert.match(editorReasons({ ...fine, scheme: 'git' }).join(), /git:/);
  assert.match(editorReasons({ ...fine, inlineSuggest: false }).join(), /editor\.inlineSuggest\.enabled/);
  assert.match(editorReasons({ ...fine, languageId: 'go' }).join(), /does not name go/);
  assert.equal(editorReasons({ ...fine, scheme: 'git', inlineSuggest: false, languageId: 'go' }).length, 3);
});

test('asking works in every language, and not where the editor shows nothing or text is selected', () => {
  assert.deepEqual(askingReasons({ ...fine, languageId: 'go' }), []);
  assert.match(askingReasons({ ...fine, hasSelection: true }).join(), /selected/);
  assert.match(askingReasons({ ...fine, scheme: 'vscode-scm' }).join(), /vscode-scm:/);
  assert.match(askingReasons(undefined).join(), /cursor/);
});

test('of the server’s line about its last answer the reason is said', () => {
  assert.equal(plainReason('The last question, 0 s ago, in a.go, got none: the cursor is busy.'), 'the cursor is busy.');
  assert.equal(plainReason('Now: off.'), 'Now: off.');
});
