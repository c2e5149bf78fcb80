"""Neovim: asking on request in any buffer, what a new user is told, and whose programs run."""

import pytest
from nvim_screen import ASK, PLUGIN, scripted_server

MISSING = ["quicksilver-that-is-missing", "lsp"]


def open_other(project, content, *server_options, name="app.js", **options):
    """A file in a language that is not completed by itself, in insert mode at its end."""
    file = project.file.with_name(name)
    file.write_text(content)
    server = scripted_server("--record", str(project.record), *server_options)
    screen = project.start(str(file), server=server, **options)
    screen.send("GA")
    screen.wait(lambda _: screen.evaluate("mode()") == "i", "insert mode")
    return screen


def test_asking_in_another_language_starts_the_server_and_answers(project):
    screen = open_other(project, "local total =\n", "--text", "'seen'", name="app.lua")
    screen.settle()
    assert screen.lua("return #require('quicksilver.server').clients()") == 0
    screen.send(" " + ASK)
    screen.wait_for_ghost("'seen'")
    assert screen.buffer == ["local total = "]
    n_asked = len(project.engine_events("asked"))
    screen.send("1;")
    screen.wait_for_buffer("local total = 1;")
    screen.wait_for_ghost("")
    screen.settle()
    assert len(project.engine_events("asked")) == n_asked
    screen.leave_insert()
    screen.command("Quicksilver status")
    screen.wait_for("the model knows only Python: in lua")


def test_the_suggested_key_types_nothing(project):
    lua = "require('quicksilver').setup({ cmd = require('quicksilver.config').current.cmd, keymaps = true })"
    screen = open_other(project, "x =\n", "--text", "1", lua=lua)
    screen.evaluate(r"nvim_input(' <M-Bslash>')")
    screen.wait_for_ghost("1")
    assert screen.buffer == ["x = "]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("vim.cmd('enew')", "this buffer has no name"),
        ("vim.cmd('new | setlocal buftype=nofile')", "this buffer is not a file"),
        ("vim.b.quicksilver_enabled = false", "b:quicksilver_enabled"),
        ("vim.o.paste = true", "while 'paste' is set"),
    ],
    ids=["no-name", "no-file", "switched-off", "paste"],
)
def test_where_nothing_can_be_asked_one_line_says_why(project, setting, said):
    project.file.write_text("x = 1\n")
    screen = project.start(str(project.file), server=scripted_server("--text", "seen"))
    screen.lua(setting)
    screen.send("i")
    screen.wait(lambda _: screen.evaluate("mode()") == "i", "insert mode")
    before = screen.buffer
    screen.lua("require('quicksilver').ask()")
    screen.wait_for(said)
    assert (screen.ghost, screen.buffer) == ("", before)


def test_asking_without_a_server_says_so_each_time(project):
    screen = project.start(str(project.file.with_name("notes.txt")), server=MISSING)
    for _ in range(2):
        screen.send("i" + ASK)
        screen.wait_for("quicksilver-that-is-missing cannot be run")
        screen.leave_insert()
        screen.command("echo")
        screen.wait(lambda _: "cannot be run" not in screen.text, "an empty line")


def test_what_the_server_wants_read_is_shown_once(project):
    message = {"type": 3, "message": "Quicksilver: the model knows Python only"}
    screen = project.open_with_items("x = \n", {"automatic": [], "message": message}, at=(1, 4))
    screen.wait_for("Quicksilver: the model knows Python only")
    screen.send("A1")
    screen.wait(lambda _: project.sent("textDocument/inlineCompletion"), "a question")
    screen.settle()
    assert screen.evaluate("execute('messages')").count("knows Python only") == 1


def test_a_new_user_hears_that_it_starts_and_nobody_hears_it_again(project):
    screen = project.open("x = \n", "--start-ms", "500")
    screen.wait_for("Quicksilver: ready")
    assert "Press ENTER" not in screen.text
    screen.command("Quicksilver restart server")
    screen.wait(lambda _: screen.lua("return require('quicksilver').status()") == "qs ready", "another server")
    kept = {f"XDG_{name}_HOME": str(project.folder / "nvim0" / name.lower()) for name in ("STATE", "CACHE")}
    again = project.start(server=MISSING, env=kept)
    again.lua("require('quicksilver.status').receive(1, { state = 'starting', message = '' })")
    again.settle()
    assert "loading the model" not in again.text
    assert screen.evaluate("execute('messages')").count("loading the model") == 1


def test_no_module_of_the_workspace_runs(project):
    workspace = project.file.parent
    for name in ("sitecustomize.py", "json.py", "quicksilver/__init__.py"):
        module = workspace / name
        module.parent.mkdir(exist_ok=True)
        module.write_text(f"open({str(project.folder / 'ran')!r}, 'a').write({name!r})\n")
    lua = f"vim.cmd('cd {workspace}') vim.g.loaded_python3_provider = 0"  # Neovim's own Python would run them
    screen = project.open("x = \n", "--text", "seen", at=(1, 4), lua=lua, env={"PYTHONPATH": ":"})
    screen.send("A")
    screen.wait_for_ghost("seen")
    assert not (project.folder / "ran").exists()


def test_the_server_works_in_an_empty_private_folder(project):
    screen = project.open("x = 1\n")
    folder = screen.lua("return require('quicksilver.launch').working_folder()")
    mode = screen.evaluate(f"getfperm('{folder}')")
    assert (mode, screen.evaluate(f"readdir('{folder}')")) == ("rwx------", [])


def test_a_program_of_the_workspace_is_not_started(project, tmp_path):
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "quicksilver").write_text("#!/bin/sh\n")
    (folder / "quicksilver").chmod(0o755)
    lua = f"vim.opt.runtimepath:append('{PLUGIN}') vim.cmd('cd {folder}') vim.env.PATH = '.::' .. vim.env.PATH"
    screen = project.start(server=(), set_up=False, lua=lua)
    program = screen.lua("return require('quicksilver.launch').program() or ''")
    assert not program.startswith((".", str(folder)))


def test_the_model_is_part_of_the_command(project):
    screen = project.start(server=["/bin/true", "lsp"], options="model = '~/nano',", env={"HOME": "/home/ada"})
    command = "return require('quicksilver.launch').command()"
    assert screen.lua(command) == ["/bin/true", "lsp", "--model", "/home/ada/nano"]
    screen.lua("require('quicksilver').setup({ cmd = { '/bin/true' }, model = 'nano' })")
    assert screen.lua(command) == ["/bin/true", "--model", "nano"]


def test_the_server_hears_what_a_level_is_indented_with(project):
    screen = project.open_with_items(
        "x = \n", {"automatic": []}, at=(1, 4), lua="vim.cmd('autocmd FileType python setl sw=2')"
    )
    screen.send("A1")
    screen.wait(lambda _: project.sent("textDocument/inlineCompletion"), "a question")
    options = project.sent("textDocument/inlineCompletion")[0]["formattingOptions"]
    assert options == {"tabSize": 2, "insertSpaces": True}


def test_nothing_is_shown_while_text_is_selected(project):
    alone = "settings = { min_confidence = 0, prefetch = false },"
    screen = project.open("x = \n", "--text", "seen", at=(1, 4), options=alone)
    screen.send("A")
    screen.wait_for_ghost("seen")
    for keys, mode in (("\x0fv", "v"), ("\x1b\x1b", "n"), ("gh", "s")):
        screen.send(keys)
        screen.wait(lambda _, mode=mode: screen.evaluate("mode()") == mode, "a selection")
        screen.wait_for_ghost("")
        n_asked = len(project.engine_events("asked"))
        screen.lua("require('quicksilver').ask()")
        screen.wait(lambda _: "in insert mode only" in screen.evaluate("execute('messages')"), "the reason")
        screen.evaluate("execute('messages clear')")
        assert len(project.engine_events("asked")) == n_asked
