"""Which open and closed documents' texts reach the engine, in snippets and in offers, through the server."""

import asyncio
import json

import pytest
from quicksilver.fim.hole import find_hole
from quicksilver.fim.text.document import Document
from quicksilver.lsp_server.workspace.cross_file_drafts import DraftsElsewhere

STATUS = "quicksilver/workspace"
TEXT = """from helpers import shared_helper

def use_marker(shared_argument):
    shared_helper(shared_argument)
    marker_value =\x20
"""
PLACE = (4, 19)
KEY = "-----BEGIN OPENSSH " + "PRIVATE KEY-----"


def code(marker):
    """A text whose lines go on as the cursor's may: `marker_value = ` and the marker."""
    return (
        f"def shared_helper(shared_argument):\n    marker_value = {marker}\n    use_marker = shared_helper\n"
        f"    return marker_value, '{marker}'\n\n{marker} = 'use_marker shared_argument marker_value'\n"
    )


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "project"
    write(folder, {"main.py": TEXT, "helpers.py": code("ALLOWED_FILE")})
    return folder


async def settled(client):
    async with asyncio.timeout(20):
        while True:
            status = await client.request(STATUS, {})
            if status["is_ready"] and not status["waiting"]:
                return
            await asyncio.sleep(0.01)


async def latest(client, records, uri):
    """The request about a document whose surroundings have settled."""
    await client.complete(uri, PLACE)
    await settled(client)
    await client.complete(uri, PLACE)
    name = uri.rpartition("/")[2]
    return json.loads([record["all"] for record in records.all("asked") if record["path"] == name][-1])


def close(client, uri):
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


def offered(request):
    return {offer["text"] for offer in request["offers"]}


async def test_offers_come_from_open_files_and_the_workspace_and_from_no_secret(editor, records, root, tmp_path):
    secrets = {
        ".env.py": code("MARKER_ENV"), "credentials.py": code("MARKER_CREDENTIALS"), "id_rsa.py": code("MARKER_KEY"),
        "ignored.py": code("MARKER_IGNORED"), "left_out/helpers.py": code("MARKER_EXCLUDED"),
        "embedded.py": code("MARKER_EMBEDDED") + f"K = '''{KEY}'''\n", ".ssh/config.py": code("MARKER_SSH"),
    }  # fmt: skip
    write(root, secrets | {".gitignore": "ignored.py\n", "open.py": code("ALLOWED_OPEN")})
    write(tmp_path, {"outside.py": code("MARKER_OUT")})
    async with editor(options={"exclude": ["left_out/"]}, root=root) as client:
        for name, text in secrets.items():
            client.open((root / name).as_uri(), text)
        client.open("untitled:.env", code("MARKER_UNTITLED"))
        client.open("untitled:credentials", code("MARKER_UNTITLED"))
        client.open("vscode-notebook-cell:/a.ipynb#W0", code("MARKER_CELL"))
        client.open((tmp_path / "outside.py").as_uri(), code("MARKER_OUT"))
        client.open((root / "open.py").as_uri(), code("ALLOWED_OPEN"))
        for name in secrets:  # and edited
            client.insert((root / name).as_uri(), 2, (0, 0), "# typed here\n")
        uri = (root / "main.py").as_uri()
        client.open(uri, TEXT)
        request = await latest(client, records, uri)
    assert {"ALLOWED_OPEN", "ALLOWED_FILE"} <= offered(request)
    assert "MARKER_" not in json.dumps({**request, "hole": None})


@pytest.mark.parametrize("becomes", [".env", "credentials.py", "ignored.py", "../outside.py", None])
async def test_a_document_that_becomes_a_secret_is_forgotten(editor, records, root, becomes):
    """Renamed on disk and in the editor (closed and opened again), or closed without being saved (None)."""
    write(root, {".gitignore": "ignored.py\n"})
    main, notes = (root / "main.py").as_uri(), (root / "notes.py").as_uri()
    async with editor(root=root) as client:
        client.open(notes, code("MARKER_NOTES"))
        client.insert(notes, 2, (0, 0), "# typed here\n")
        client.open(main, TEXT)
        assert "MARKER_NOTES" in offered(await latest(client, records, main))
        close(client, notes)
        if becomes is not None:
            client.open((root / becomes).as_uri(), code("MARKER_NOTES"))
            client.insert((root / becomes).as_uri(), 2, (0, 0), "# typed again\n")
        await client.complete(main, PLACE)
        assert offered(json.loads(records.all("asked")[-1]["all"])) <= {"ALLOWED_FILE"}  # at once
        request = await latest(client, records, main)
    assert "MARKER_" not in json.dumps({**request, "hole": None})


async def test_an_untitled_text_that_is_saved_as_a_secret_is_forgotten(editor, records, root):
    main, scratch = (root / "main.py").as_uri(), "untitled:Untitled-1"
    async with editor(root=root) as client:
        client.open(scratch, "")
        client.insert(scratch, 2, (0, 0), code("MARKER_SCRATCH"))
        client.open(main, TEXT)
        assert "MARKER_SCRATCH" in offered(await latest(client, records, main))
        close(client, scratch)
        client.open((root / "secrets.toml").as_uri(), code("MARKER_SCRATCH"), language="toml")
        request = await latest(client, records, main)
    assert "MARKER_" not in json.dumps({**request, "hole": None})


async def test_what_was_edited_in_a_saved_and_closed_file_is_still_shown(editor, records, root):
    main, notes = (root / "main.py").as_uri(), (root / "notes.py").as_uri()
    text = "# typed here\r\n" + code("ALLOWED_NOTES").replace("\n", "\r\n")
    async with editor(root=root) as client:
        client.open(notes, text.partition("\r\n")[2])
        client.insert(notes, 2, (0, 0), "# typed here\r\n")
        client.open(main, TEXT)
        assert "ALLOWED_NOTES" in json.dumps((await latest(client, records, main))["snippets"])
        (root / "notes.py").write_bytes(text.encode())
        client.notify("textDocument/didSave", {"textDocument": {"uri": notes}})
        close(client, notes)
        request = await latest(client, records, main)
    assert "ALLOWED_NOTES" in json.dumps(request["snippets"])
    assert "typed here" in json.dumps(request["snippets"])


async def test_names_that_no_file_can_have_end_no_background_work(editor, records, root):
    """Lone surrogates in a client's JSON, and more of them than failures are forgiven."""
    main = (root / "main.py").as_uri()
    async with editor(root=root) as client:
        for n in range(30):
            odd = f"{root.as_uri()}/\ud800{n}.py"
            client.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": odd, "type": 2}]})
            client.open(odd, code("MARKER_ODD"))
            client.open(f"file://[{n}", code("MARKER_ODD"))
        client.open("file://[", TEXT)
        assert len(await client.complete("file://[", PLACE)) == 1
        client.open(main, TEXT)
        request = await latest(client, records, main)
        assert (await client.request(STATUS, {}))["is_on"]
        assert not any("failed" in line for line in client.stderr_lines)
    assert offered(request) == {"ALLOWED_FILE"}


@pytest.mark.parametrize("folder", ["file:///\ud800", "file:///", "file:///etc/passwd"])
async def test_a_workspace_that_is_none_leaves_open_documents_their_offers(editor, records, root, folder):
    main = (root / "main.py").as_uri()
    async with editor(initialize=False) as client:
        await client.request("initialize", {"processId": None, "rootUri": folder, "capabilities": {}})
        client.notify("initialized", {})
        client.open("untitled:a", code("ALLOWED_OPEN"))
        client.open(main, TEXT)
        assert "ALLOWED_OPEN" in offered(await latest(client, records, main))


def test_the_document_that_was_typed_before_is_searched_when_another_is_typed():
    """Its index waits while it is typed. When the cursor goes to another document nothing else changes."""
    typed, other = (
        Document(uri=f"untitled:{name}", version=1, language="python", text=text)
        for name, text in (("typed", code("ALLOWED_TYPED")), ("other", TEXT))
    )
    drafts = DraftsElsewhere()
    drafts.keep_open([typed, other])
    while drafts.step(typed.uri):
        pass
    hole = find_hole(other, len(TEXT) - 1)
    assert drafts.find(hole, other.uri) == ()
    while drafts.step(other.uri):
        pass
    assert [offer.text for offer in drafts.find(hole, other.uri)] == ["ALLOWED_TYPED"]
