"""Snippets: what is chosen, in what order, within what budget; what is remembered; when a choice is made anew."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.fim.text.document import Document
from quicksilver.fim.workspace.files import SourceFile, read_source
from quicksilver.fim.workspace.index import WorkspaceIndex
from quicksilver.fim.workspace.recent_chunks import N_CHUNKS_MAX, RecentChunks
from quicksilver.fim.workspace.snippet_policy import JUMP_LINES, PAUSE_S, Basis, SnippetPolicy
from quicksilver.fim.workspace.snippets import SOURCES, Scene, select
from quicksilver.fim.workspace.sources import Library

MODELS = '''"""Models."""
class Account:
    """Somebody's account."""
    owner: str

    def transfer_balance(self, amount: int) -> None:
        """Move money."""

def unrelated_thing(a): ...
'''
INIT = "from .models import Account\n"
BILLING = """def bill_customer(account, amount):
    account.transfer_balance(amount)
    ledger_entry = make_ledger_entry(account, amount)
    post_ledger_entry(ledger_entry)
    return ledger_entry
"""
VIEWS = """from app import Account
from app import models as m

def pay(account: Account, amount):
    account.transfer_balance(amount)
    ledger_entry = make_ledger_entry(account, amount)
    """


def document(text, name="views.py", version=1):
    return Document(uri=f"file:///w/{name}", version=version, language="python", text=text)


@pytest.fixture
def library(tmp_path):
    index = WorkspaceIndex()
    files = {"app/__init__.py": INIT, "app/models.py": MODELS, "billing.py": BILLING, "other.py": "nothing = like_it\n"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        read = read_source(SourceFile(str(tmp_path), name), 10_000)
        assert read is not None
        index.put(SourceFile(str(tmp_path), name), read[1], read[0])
    return Library(index)


def scene(text=VIEWS, others=(), offset=None, here=None):
    shown = {other.uri: other for other in others}
    label = str.upper
    offset = len(text) if offset is None else offset
    return Scene(document=document(text), offset=offset, here=here, others=shown, label=label)


def test_sources_in_order_most_useful_last(library):
    recent, notes = RecentChunks(), document("remembered_one = 1\nremembered_two = 2\n", "notes.py")
    recent.visit(notes, 0)
    chosen = select(scene(others=[notes]), library, recent)
    assert [snippet.source for snippet in chosen.snippets][-3:] == ["similar", "recent", "declarations"]
    *_, similar, remembered, declared = chosen.texts
    assert similar == f"# billing.py\n{BILLING.rstrip()}"
    assert remembered.startswith("# FILE:///W/NOTES.PY\nremembered_one")
    assert declared.startswith("# app/models.py\nclass Account:")
    assert "transfer_balance" in declared
    assert "unrelated_thing" not in declared
    assert [path for path, _ in chosen.related][:2] == ["app/__init__.py", "app/models.py"]


@pytest.mark.parametrize("off", SOURCES)
def test_every_source_has_a_switch(library, off):
    recent = RecentChunks()
    recent.visit(document("remembered_one = 1\n", "notes.py"), 0)
    sources = {snippet.source for snippet in select(scene(), library, recent, off=(off,)).snippets}
    assert sources == set(SOURCES) - {off}


def test_what_stands_in_the_document_is_not_shown_again(library):
    chosen = select(scene(BILLING + VIEWS), library, RecentChunks())
    assert chosen.snippets
    assert not any("make_ledger_entry" in text for text in chosen.texts)


def test_without_a_workspace_open_documents_are_enough():
    opened = document(BILLING, "billing.py")
    chosen = select(scene(others=[opened]), None, RecentChunks())
    assert [snippet.source for snippet in chosen.snippets] == ["similar"]
    assert chosen.related == ()


def test_the_editors_text_of_an_open_file_counts_not_the_disks(library):
    root = next(library.index.files())[0].root
    file = SourceFile(root, "app/models.py")
    library.open_texts = {file: document("class Account:\n    def renamed_by_hand(self): ...\n", "app/models.py")}
    chosen = select(scene(), library, RecentChunks())
    assert "renamed_by_hand" in chosen.texts[-1]
    assert "app/models.py" not in dict(chosen.related)


def test_a_file_that_changed_since_it_was_indexed_is_not_shown(library):
    root = next(library.index.files())[0].root
    (library_file := SourceFile(root, "billing.py"))
    with open(library_file.absolute, "a") as stream:  # noqa: PTH123
        stream.write("SECOND = 'thought'\n")
    chosen = select(scene(), library, RecentChunks())
    assert all("billing" not in text for text in chosen.texts)
    assert "billing.py" not in dict(chosen.related)


TEXTS = st.lists(st.sampled_from([*VIEWS.split("\n"), *BILLING.split("\n"), "import os", ""]), max_size=60)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.lists(TEXTS, max_size=3), st.data(), st.integers(0, 2_000))
def test_budget_and_path_comments_hold_for_any_texts(lines, others, data, budget):
    text = "\n".join(lines)
    opened = [document("\n".join(other), f"o{number}.py") for number, other in enumerate(others)]
    recent = RecentChunks()
    for other in opened:
        recent.visit(other, data.draw(st.integers(0, len(other.text))))
    place = scene(text, opened, data.draw(st.integers(0, len(text))))
    chosen = select(place, None, recent, budget_chars=budget)
    assert sum(map(len, chosen.texts)) <= budget
    assert all(snippet.startswith("# FILE:///W/O") and "\n" in snippet for snippet in chosen.texts)
    assert chosen == select(place, None, recent, budget_chars=budget)


def test_a_path_cannot_break_out_of_its_comment():
    other = document(BILLING, "x.py")
    place = Scene(
        document=document(VIEWS), offset=len(VIEWS), here=None, others={other.uri: other}, label=lambda _: "a\nb"
    )
    [text] = select(place, None, RecentChunks()).texts
    assert text.startswith("# a?b\n")


def lines_of(name, n=60):
    return "\n".join(f"{name}_{number} = {number} * {name}" for number in range(n))


def test_the_ring_keeps_the_newest_and_no_two_alike():
    ring = RecentChunks()
    texts = {f"f{n}.py": document(lines_of(f"name{n}"), f"f{n}.py") for n in range(20)}
    for each in texts.values():
        ring.visit(each, 0)
        ring.visit(each, 5)
    chunks = ring.others("")
    assert len(chunks) == N_CHUNKS_MAX
    assert chunks[-1].place.endswith("f19.py")
    ring.visit(texts["f10.py"], 0)
    assert [chunk.place for chunk in ring.others("")].count("file:///w/f10.py") == 1
    assert ring.others("")[-1].place.endswith("f10.py")
    assert all(not chunk.place.endswith("f10.py") for chunk in ring.others("file:///w/f10.py"))
    ring.keep(lambda chunk: not chunk.place.endswith("f10.py"))
    assert len(ring.others("")) == N_CHUNKS_MAX - 1


def test_the_ring_counts_work_in_other_documents_once():
    ring, one = RecentChunks(), document(lines_of("one"), "one.py")
    ring.visit(one, 0)
    ring.visit(one, 0)
    assert (ring.n_other_visits(one.uri), ring.n_other_visits("else")) == (0, 1)
    ring.visit(document("\n\n"), 1)
    assert ring.others("x") == ring.others("y")


def test_snippets_stay_while_a_person_types():
    policy = SnippetPolicy()
    policy.see(10, 0.0, edited=False)
    assert policy.is_urgent
    assert policy.wants(Basis(line=10), 0.0)
    policy.chose(Basis(line=10))
    for n in range(100):
        policy.see(10 + n // 2, n * 0.15, edited=True)
        later = Basis(line=10 + n // 2, imports=(n,), n_other_visits=n, n_workspace_changes=n)
        assert not policy.wants(later, n * 0.15 + 0.1)


@pytest.mark.parametrize(
    "basis",
    [
        Basis(line=10, imports=(1,)),
        Basis(line=10, n_other_visits=1),
        Basis(line=10, n_workspace_changes=1),
        Basis(line=50),
    ],
)
def test_a_pause_is_the_time_for_what_has_changed(basis):
    policy = SnippetPolicy()
    policy.chose(Basis(line=10))
    policy.see(10, 5.0, edited=True)
    assert not policy.wants(basis, 5.0 + PAUSE_S / 2)
    assert policy.wants(basis, 5.01 + PAUSE_S)
    assert not policy.wants(Basis(line=12), 5.01 + PAUSE_S)


def test_a_jump_is_not_waited_for():
    policy = SnippetPolicy()
    policy.see(10, 0.0, edited=False)
    policy.chose(Basis(line=10))
    policy.see(11 + JUMP_LINES, 0.1, edited=True)
    assert policy.is_urgent
    assert policy.wants(Basis(line=11 + JUMP_LINES), 0.1)
    policy.chose(Basis(line=11 + JUMP_LINES))
    assert not policy.is_urgent
