"""Whole documents that others made: every function that reads one ends soon, and lets other threads run meanwhile.

The bounds are generous: what these tests are for took minutes."""

import threading
import time

import pytest
from quicksilver.fim.cursor_class import class_at
from quicksilver.fim.drafts.search import find_drafts
from quicksilver.fim.gating import reason_for_silence
from quicksilver.fim.hole import find_hole
from quicksilver.fim.syntax.tree import parse
from quicksilver.fim.text.document import Document
from quicksilver.fim.trimming.trim import trim
from quicksilver.fim.workspace.chunks import split_text, words
from quicksilver.fim.workspace.declarations import find_declarations
from quicksilver.fim.workspace.imports import find_imports
from quicksilver.fim.workspace.recent_chunks import RecentChunks
from quicksilver.fim.workspace.snippets import Scene, select

pytestmark = pytest.mark.slow

LIMIT_S, LOCKED_S = 30.0, 5.0
MONSTERS = {
    "dots": ("python", lambda n: "from " + "." * n),
    "exports": ("typescript", lambda n: "export\n" * (n // 7)),
    "constants": ("javascript", lambda n: "const\n" * (n // 6)),
    "brackets": ("python", lambda n: "x = " + "(" * (n // 2) + ")" * (n // 2)),
    "open brackets": ("cpp", lambda n: "a(" * (n // 2)),
    "generics": ("java", lambda n: "a<" * (n // 2)),
    "questions": ("shellscript", lambda n: "a?" * (n // 2)),
    "arrows": ("typescript", lambda n: "->" * (n // 2)),
    "quotes": ("go", lambda n: '"' * n),
    "docstrings": ("python", lambda n: '\\"""' * (n // 4)),
    "namespaces": ("cpp", lambda n: "namespace a {\n" * (n // 14)),
    "conditions": ("python", lambda n: "".join(f"{' ' * depth}if x:\n" for depth in range(int((2 * n) ** 0.5)))),
    "returns": ("python", lambda n: "\r" * n),
    "attributes": ("python", lambda n: "a." * (n // 2)),
}


def read(text: str, language: str) -> None:
    document = Document("file:///a", 1, language, text)
    for offset in (len(text) // 2, len(text)):
        syntax = parse(text, language, near=offset)
        reason_for_silence(document, offset, syntax=syntax)
        hole = find_hole(document, offset, syntax)
        trim(hole, "value(a)\n    more()\n" + text[:60], "\n", syntax)
        if syntax is not None:
            class_at(syntax, offset)
    find_drafts(hole, [text[:10_000]])
    find_imports(text, language)
    find_declarations(text, language)
    split_text("a", text)
    words(text)
    select(Scene(document=document, offset=offset, here=None, others={}, label=str), None, RecentChunks())


@pytest.mark.parametrize("length", [3_000, 58_000, 500_000])
@pytest.mark.parametrize("name", MONSTERS)
def test_a_monstrous_document_holds_nobody_up(name, length):
    language, make = MONSTERS[name]
    thread = threading.Thread(target=read, args=(make(length), language), daemon=True)
    longest_s, last_s = 0.0, time.perf_counter()
    started_s = last_s
    thread.start()
    while thread.is_alive():
        time.sleep(0.01)
        now_s = time.perf_counter()
        longest_s, last_s = max(longest_s, now_s - last_s), now_s
        assert now_s - started_s < LIMIT_S
    assert longest_s < LOCKED_S  # no call kept the interpreter lock for long
