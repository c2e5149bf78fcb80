import assert from 'node:assert/strict';
import { test } from 'node:test';
import { editorReasons } from '../src/why';

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
