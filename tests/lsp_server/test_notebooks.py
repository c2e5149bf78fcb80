"""Notebooks: cells joined by language, changed in every way that LSP has, and completed in their own positions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.errors import InputError
from quicksilver.fim.text.document import Document, TextChange
from quicksilver.fim.text.positions import Position
from quicksilver.lsp_server.notebooks import SEPARATOR, Cell, NotebookChange, Notebooks

URI = "file:///tmp/analysis.ipynb"


def uri_of(name):
    return f"vscode-notebook-cell:/tmp/analysis.ipynb#{name}"


def documents(**texts):
    return [Document(uri_of(name), 1, "python", text) for name, text in texts.items()]


def cells(*names):
    return tuple(Cell(uri_of(name), True) for name in names)


def change(splice=None, opened=(), edits=()):
    return NotebookChange(URI, splice, tuple(opened), tuple(edits))


def text_of(notebook):
    return None if notebook.joined is None else notebook.joined.text


def test_cells_of_the_commonest_language_are_joined():
    notebooks = Notebooks()
    shell = Document(uri_of("s"), 1, "shellscript", "ls")
    prose = Document(uri_of("p"), 1, "markdown", "# Title")
    order = [Cell(uri_of("p"), False), *cells("a", "s", "b")]
    notebook = notebooks.open(URI, order, [*documents(a="x = 1", b="y = x"), shell, prose])
    assert notebook.joined is not None
    assert (notebook.joined.text, notebook.joined.language) == ("x = 1\n\ny = x", "python")
    assert notebook.starts == {uri_of("a"): 0, uri_of("b"): 7}
    assert notebooks.of_cell(uri_of("s")) is notebook


def test_changes_of_structure_and_text():
    notebooks = Notebooks()
    notebooks.open(URI, cells("a", "b"), documents(a="x = 1", b="y = 2"))
    insert = TextChange(Position(0, 5), Position(0, 5), "0")
    notebook = notebooks.change(change(edits=[(uri_of("a"), 2, (insert,))]), "utf-16")
    assert text_of(notebook) == "x = 10\n\ny = 2"
    notebook = notebooks.change(change((0, 1, cells("c")), documents(c="import os")), "utf-16")
    assert text_of(notebook) == "import os\n\ny = 2"
    assert notebooks.of_cell(uri_of("a")) is None
    notebook = notebooks.change(change((0, 2, ())), "utf-16")
    assert notebook.joined is None


@pytest.mark.parametrize(
    "wrong",
    [change((1, 5, ())), change(edits=[(uri_of("nobody"), 2, ())])],
    ids=["cells that are not there", "a document that is not open"],
)
def test_what_does_not_fit_changes_nothing(wrong):
    notebooks = Notebooks()
    notebook = notebooks.open(URI, cells("a", "b"), documents(a="x = 1", b="y = 2"))
    with pytest.raises(InputError):
        notebooks.change(wrong, "utf-16")
    assert text_of(notebook) == "x = 1\n\ny = 2"
    with pytest.raises(InputError):
        Notebooks().change(change(), "utf-16")


TEXTS = st.text("ab\n\r\U0001f642", max_size=8)


@given(st.lists(TEXTS, min_size=1, max_size=5), st.data())
def test_every_cell_stands_in_the_joined_text_where_it_is_said_to(texts, data):
    named = {f"c{i}": text for i, text in enumerate(texts)}
    notebook = Notebooks().open(URI, cells(*named), documents(**named))
    for name, text in named.items():
        start = notebook.starts[uri_of(name)]
        assert str(text_of(notebook))[start:].startswith(text)
    assert len(str(text_of(notebook))) == sum(map(len, texts)) + len(SEPARATOR) * (len(texts) - 1)


def opened(**texts):
    return {
        "notebookDocument": {
            "uri": URI,
            "notebookType": "jupyter-notebook",
            "version": 1,
            "cells": [{"kind": 2, "document": uri_of(name)} for name in texts],
        },
        "cellTextDocuments": [
            {"uri": uri_of(name), "languageId": "python", "version": 1, "text": text} for name, text in texts.items()
        ],
    }


def edited(name, version, line, character, text):
    at = {"line": line, "character": character}
    return {
        "notebookDocument": {"uri": URI, "version": version},
        "change": {
            "cells": {
                "textContent": [
                    {
                        "document": {"uri": uri_of(name), "version": version},
                        "changes": [{"range": {"start": at, "end": at}, "text": text}],
                    }
                ]
            }
        },
    }


async def test_a_cell_is_completed_with_the_others_around_it(editor, records):
    async with editor("--text", "total_rows") as client:
        client.notify("notebookDocument/didOpen", opened(a="rows = 3\n", b="n = \n", c="print(n)"))
        [item] = await client.complete(uri_of("b"), (0, 4))
        where = {"line": 0, "character": 4}
        assert item["range"] == {"start": where, "end": where}
        [asked] = records.all("asked")
        assert asked["prefix"] == "rows = 3\n\n\nn = "
        assert asked["suffix"] == "\n\n\nprint(n)"
        assert asked["path"] == "analysis.ipynb"
        client.notify("notebookDocument/didChange", edited("b", 2, 0, 4, "to"))
        [item] = await client.complete(uri_of("b"), (0, 6), invoked=False)
        assert item["insertText"] == "tal_rows"  # typed through: no question
        assert (await client.explain())["range"]["start"] == {"line": 0, "character": 6}
        assert len(records.all("asked")) == 1
        client.notify("notebookDocument/didClose", {"notebookDocument": {"uri": URI}, "cellTextDocuments": []})
        assert await client.complete(uri_of("b"), (0, 6)) == []


async def test_a_client_without_notebooks_sends_cells_as_documents(editor, records):
    async with editor("--text", "x") as client:
        client.open(uri_of("a"), "n = \n")
        assert len(await client.complete(uri_of("a"), (0, 4))) == 1


async def test_notebooks_are_announced_and_malformed_ones_dropped(editor):
    async with editor(initialize=False) as client:
        capabilities = await client.initialize()
        assert capabilities["notebookDocumentSync"]["notebookSelector"] == [{"notebook": "*"}]
        for malformed in (None, {}, {"notebookDocument": {"uri": 7}}, {**opened(a=""), "cellTextDocuments": [7]}):
            client.notify("notebookDocument/didOpen", malformed)
            client.notify("notebookDocument/didChange", malformed)
            client.notify("notebookDocument/didClose", malformed)
        client.notify("notebookDocument/didOpen", opened(a="n = "))
        assert len(await client.complete(uri_of("a"), (0, 4))) == 1
        client.notify("notebookDocument/didChange", edited("nobody", 2, 0, 0, "x"))
        assert await client.complete(uri_of("a"), (0, 4)) == []
