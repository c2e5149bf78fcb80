"""What the engine receives of a workspace through the server, and what it never does."""

import asyncio
import json
import threading
import time

import pytest
from quicksilver.fim.text.document import Document
from quicksilver.lsp_server.protocol.file_uris import name_of, path_of
from quicksilver.lsp_server.protocol.headless import AnswerError
from quicksilver.lsp_server.workspace.idle_thread import N_FAILURES_MAX, BackgroundThread
from quicksilver.lsp_server.workspace.service import Workspace

STATUS = "quicksilver/workspace"
TEXT = """from helpers import shared_helper

def use_marker(shared_argument):
    shared_helper(shared_argument)
    marker_value =\x20
"""
PLACE = (4, 19)


def code(marker):
    """A file that fits TEXT well: imported, with its words."""
    return (
        f"def shared_helper(shared_argument):\n    marker_value = {marker}\n    use_marker = shared_helper\n"
        f"    return marker_value, '{marker}'\n\n{marker} = 'use_marker shared_argument marker_value'\n"
    )


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


async def settled(client, **expected):
    """The workspace's status, once all is looked at (and it is as expected)."""
    async with asyncio.timeout(20):
        while True:
            status = await client.request(STATUS, {})
            is_settled = status["is_ready"] and not status["waiting"]
            if is_settled and all(status[name] == value for name, value in expected.items()):
                return status
            await asyncio.sleep(0.01)


async def ask(client, uri):
    """Ask, let the server choose snippets for that place, and ask again."""
    await client.complete(uri, PLACE)
    await settled(client)
    await client.complete(uri, PLACE)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "project"
    write(folder, {"main.py": TEXT, "helpers.py": code("ALLOWED_MARKER")})
    return folder


def asked(records, about=None):
    """All that the engine received, the questions last; about: documents of these names alone."""
    found = [record for event in ("warmed", "asked") for record in records.all(event)]
    return [record["all"] for record in found if about is None or record["path"] in about]


async def test_not_one_byte_of_a_secret_reaches_the_engine(piped_editor, records, root, tmp_path):
    outside = tmp_path / "outside"
    write(outside, {"helpers.py": code("MARKER_OUT"), "deep/helpers.py": code("MARKER_OUT"), ".env": "MARKER_OUT=1\n"})
    key = "-----BEGIN OPENSSH " + "PRIVATE KEY-----"
    secrets = {
        ".env": "MARKER_ENV=1\n", "app.env": "MARKER_ENV=1\n", ".env.py": code("MARKER_ENV"),
        "id_rsa": key, "id_rsa.py": code("MARKER_KEY"), "server.pem": key, "keys/server.key": code("MARKER_KEY"),
        "embedded.py": code("MARKER_KEY") + f"K = '''{key}'''\n", "credentials.py": code("MARKER_CREDENTIALS"),
        ".aws/helpers.py": code("MARKER_CREDENTIALS"), ".ssh/config.py": code("MARKER_CREDENTIALS"),
        "private/local.py": code("MARKER_IGNORED"), "private/kept.py": code("ALLOWED_KEPT"),
        "sub/local.py": code("MARKER_IGNORED"), "sub/fine_gen.py": code("ALLOWED_NEGATED"),
        "x_gen.py": code("MARKER_IGNORED"), "node_modules/helpers.js": code("MARKER_IGNORED"),
        "env/pyvenv.cfg": "", "env/helpers.py": code("MARKER_IGNORED"), "left_out/helpers.py": code("MARKER_EXCLUDED"),
    }  # fmt: skip
    write(root, secrets)
    write(root, {".gitignore": "private/*\n!private/kept.py\n*_gen.py\n", "sub/.gitignore": "!fine_gen.py\nlocal.py\n"})
    (root / "harmless.py").symlink_to(outside / ".env")
    (root / "looks_fine.py").symlink_to(outside / "helpers.py")
    (root / "linked").symlink_to(outside)
    texts = {name: text for name, text in secrets.items() if "MARKER" in text}
    async with piped_editor(options={"exclude": ["left_out/"]}, root=root) as client:
        for name, text in texts.items():  # a person has them open, too
            client.open((root / name).as_uri(), text + f"# {name}\n")
        client.open((root / "looks_fine.py").as_uri(), code("MARKER_OUT"))
        client.open((outside / "helpers.py").as_uri(), code("MARKER_OUT"))
        for name in ("x_gen.py", "private/local.py", ".env.py", "credentials.py"):
            client.insert((root / name).as_uri(), 2, (0, 0), "# typed here\n")
        uri = (root / "main.py").as_uri()
        client.open(uri, TEXT)
        status = await settled(client)
        await ask(client, uri)
        assert not any("Traceback" in line for line in client.stderr_lines)
    requests = asked(records, about=("main.py",))
    about_others = [json.loads(request) for request in asked(records) if request not in requests]
    others_surroundings = json.dumps([{**request, "hole": None} for request in about_others])
    assert {request["path"] for request in about_others} <= {"x_gen.py", "local.py"}  # typed in; nothing secret
    assert "MARKER_" not in "".join([*requests, others_surroundings]).replace("ALLOWED_MARKER", "")
    assert "PRIVATE KEY" not in "".join(requests)
    for marker in ("ALLOWED_MARKER", "ALLOWED_KEPT", "ALLOWED_NEGATED"):
        assert marker in requests[-1]
    assert status["n_files"] == 4


async def test_an_open_documents_text_is_shown_as_the_editor_has_it(editor, records, root):
    async with editor(root=root) as client:
        client.open((root / "main.py").as_uri(), TEXT)
        client.open((root / "helpers.py").as_uri(), code("TYPED_MARKER"))
        await settled(client)
        await ask(client, (root / "main.py").as_uri())
    last = records.all("asked")[-1]["all"]
    assert "TYPED_MARKER" in last
    assert "ALLOWED_MARKER" not in last


async def test_without_a_root_open_documents_give_snippets_and_nothing_is_read(editor, records, root):
    async with editor() as client:
        client.open((root / "main.py").as_uri(), TEXT)
        client.open("untitled:Untitled-1", code("UNTITLED_MARKER"))
        await ask(client, (root / "main.py").as_uri())
    last = records.all("asked")[-1]["all"]
    assert "UNTITLED_MARKER" in last
    assert "ALLOWED_MARKER" not in last


@pytest.mark.parametrize("options", [{"workspace": False}, {"exclude": ["*.py"]}, {"max_workspace_files": 0}])
async def test_switched_off(editor, records, root, options):
    async with editor(options=options, root=root) as client:
        client.open((root / "main.py").as_uri(), TEXT)
        if options.get("workspace", True):
            await settled(client)
        await client.complete((root / "main.py").as_uri(), PLACE)
        status = await client.request(STATUS, {})
    assert status["is_on"] is options.get("workspace", True)
    assert status["n_files"] == 0
    assert "MARKER" not in "".join(asked(records)).replace("use_marker", "").replace("marker_value", "")


async def test_files_that_come_change_and_go(editor, records, root):
    def changed(*names):
        changes = [{"uri": (root / name).as_uri(), "type": 2} for name in names]
        client.notify("workspace/didChangeWatchedFiles", {"changes": changes})

    async with editor(root=root) as client:
        uri = (root / "main.py").as_uri()
        client.open(uri, TEXT)
        await settled(client, n_files=2)
        write(root, {"helpers.py": code("SECOND_MARKER"), "new.py": code("NEW_MARKER")})
        changed("helpers.py", "new.py")
        await settled(client, n_files=3)
        await ask(client, uri)
        (root / "new.py").unlink()
        write(root, {"sub/moved.py": "x = 1\n"})
        changed("sub", "new.py")
        await settled(client, n_files=3)
        write(root, {".gitignore": "helpers.py\n"})
        client.notify("textDocument/didSave", {"textDocument": {"uri": (root / ".gitignore").as_uri()}})
        await settled(client, n_files=2)
        await ask(client, uri)
    first, last = records.all("asked")[1]["all"], records.all("asked")[-1]["all"]
    assert "SECOND_MARKER" in first and "NEW_MARKER" in first and "ALLOWED_MARKER" not in first
    assert "_MARKER" not in last


async def test_folders_come_and_go(editor, root, tmp_path):
    write(tmp_path / "second", {"a.py": "x = 1\n"})

    def folders(added, removed):
        event = {"added": [{"uri": uri, "name": "x"} for uri in added]}
        event["removed"] = [{"uri": uri, "name": "x"} for uri in removed]
        client.notify("workspace/didChangeWorkspaceFolders", {"event": event})

    async with editor(initialize=False) as client:
        params = {"processId": None, "rootUri": None, "capabilities": {}, "workspaceFolders": None}
        params["workspaceFolders"] = [{"uri": root.as_uri(), "name": "project"}]
        result = await client.request("initialize", params)
        client.notify("initialized", {})
        assert result["capabilities"]["workspace"]["workspaceFolders"]["changeNotifications"] is True
        await settled(client, n_files=2, n_roots=1)
        folders([(tmp_path / "second").as_uri()], [])
        await settled(client, n_files=3, n_roots=2)
        folders([], [root.as_uri(), "file:///unknown"])
        await settled(client, n_files=1, n_roots=1)
        for params in (None, {}, {"event": 3}, {"event": {"added": [3], "removed": []}}):
            client.notify("workspace/didChangeWorkspaceFolders", params)
            client.notify("workspace/didChangeWatchedFiles", params)
            client.notify("textDocument/didSave", params)
        await settled(client, n_files=1, n_roots=1)


async def test_the_editor_is_asked_to_watch_files(editor, root):
    capabilities = {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}}
    async with editor(initialize=False) as client:
        await client.request("initialize", {"processId": None, "rootUri": root.as_uri(), "capabilities": capabilities})
        client.notify("initialized", {})
        await settled(client)
        assert client.requests_seen == ["client/registerCapability"]


@pytest.mark.parametrize("folders", ["x", [3], [{"uri": 3}], [{"uri": "http://x/y"}], [{"uri": "file:///gone"}], []])
async def test_odd_folders_are_no_workspace(editor, folders):
    async with editor(initialize=False) as client:
        params = {"processId": None, "rootUri": 7, "capabilities": {}, "workspaceFolders": folders}
        await client.request("initialize", params)
        client.notify("initialized", {})
        assert (await settled(client))["n_roots"] == 0
        with pytest.raises(AnswerError):
            await client.request("quicksilver/nothing", {})


@pytest.mark.slow
async def test_the_server_ends_at_once_while_it_indexes(piped_editor, tmp_path):
    write(tmp_path / "many", {f"p{n % 40}/m{n}.py": code(f"NAME_{n}") * 20 for n in range(1_500)})
    async with piped_editor(root=tmp_path / "many") as client:
        while not (await client.request(STATUS, {})).get("n_files"):
            await asyncio.sleep(0.005)
        started_s = time.perf_counter()
        client.process.stdin.close()
        await client.wait()
        assert time.perf_counter() - started_s < 5  # a machine under load; it is 0.01 s on an idle one
        assert not any("Traceback" in line for line in client.stderr_lines)


async def test_a_tree_without_git_and_links_in_the_root_itself(editor, root, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(root)
    async with editor(root=link) as client:
        client.open((link / "main.py").as_uri(), TEXT)
        assert (await settled(client))["n_files"] == 2


def wait_until(holds, seconds=10.0):
    ends_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends_s, "waited too long"
        time.sleep(0.005)


def test_choices_are_told_and_asking_takes_no_time(root):
    told = []
    workspace, document = (
        Workspace(),
        Document(uri=(root / "main.py").as_uri(), version=1, language="python", text=TEXT),
    )
    assert workspace.snippets_for(document, 0) == ()
    workspace.start([str(root)], on_change=lambda *place: told.append(place))
    try:
        workspace.opened(document)
        assert workspace.snippets_for(Document(uri="file:///else", version=1, language="python", text=""), 0) == ()
        wait_until(lambda: workspace.snippets_for(document, len(TEXT)))
        assert told[-1][0] is document
        wait_until(lambda: workspace.related_texts(document))
        assert [path for path, _ in workspace.related_texts(document)] == ["helpers.py"]
        assert workspace.related_texts(document) is workspace.related_texts(document)
        assert workspace.snippets_for(document, 0, off=("declarations", "recent", "similar")) == ()
        workspace.closed(document.uri)
        assert workspace.snippets_for(document, 0) == ()
    finally:
        workspace.close()


def test_the_background_rests_while_a_person_types_or_waits():
    n_units = [0]

    def unit():
        n_units[0] += 1
        return 0.001

    background = BackgroundThread(lambda: unit, lambda: None)
    background.touch()
    with background.question():
        background.start()
        time.sleep(0.2)
        assert n_units == [0]
    wait_until(lambda: n_units[0] > 3)
    background.close()
    assert not background.is_alive


def test_a_failing_unit_is_tried_again_until_it_is_hopeless(caplog):
    ended, secret = threading.Event(), "must not be logged".upper()

    def unit():
        raise ValueError(secret)

    background = BackgroundThread(lambda: unit, ended.set)
    background.start()
    assert ended.wait(10)
    assert len(caplog.records) == N_FAILURES_MAX + 2
    assert secret not in caplog.text
    background.close()


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a/b%20c.py", "/a/b c.py"),
        ("file://localhost/a", "/a"),
        ("file:///a/../b", None),
        ("file:///a/%2e%2e/b", None),
        ("file:///a%00b", None),
        ("file:///\ud800", None),
        ("file://server/share/a", None),
        ("untitled:a", None),
        ("http:///a", None),
        ("file://[", None),
        ("", None),
    ],
)
def test_paths_of_uris(uri, path):
    assert path_of(uri) == path
    assert isinstance(name_of(uri), str)


HOSTILE = {
    "python": "from " + "." * 400_000,
    "javascript": "export\n" * 68_000,
    "typescript": "const\n" * 80_000,
    "java": "a<" * 30_000,
    "c": "a=>" * 2_300,
}


async def test_documents_of_others_hold_up_no_answer(editor, tmp_path):
    (tmp_path / "deep").mkdir()
    for number in range(12):
        names = "".join(f"from deep.m{other} import x\n" for other in range(12))
        (tmp_path / "deep" / f"m{number}.py").write_text(f"{names}from {'.' * 3_000}\n")
    async with editor(root=tmp_path) as client:
        for language, text in HOSTILE.items():
            client.open(f"file:///elsewhere/{language}", text, language=language)
            await client.complete(f"file:///elsewhere/{language}", (0, 1), timeout_s=30)
        uri = (tmp_path / "main.py").as_uri()
        client.open(uri, "from deep.m0 import x\nx")
        for n in range(10):
            client.insert(uri, n + 2, (1, n + 1), "x")
            await asyncio.sleep(0.2)
            assert await client.complete(uri, (1, n + 2), timeout_s=15)
