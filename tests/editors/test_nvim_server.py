"""Neovim: the language server as the plugin starts, tells and asks it, and what it says of itself."""

import os
import re
import shlex
import signal
import sys
from pathlib import Path

import pytest
from nvim_screen import ASK, ESC, NEXT, PLUGIN, TAB, WORD, scripted_server, version_of

ACCEPT = {"title": "accepted", "command": "quicksilver.didAccept", "arguments": [{"id": "5f0c", "index": 0}]}
READY = {"state": "ready", "message": "nano, last answer in 31 ms", "latency_ms": 31, "counts": {"shown": 12}}


def processes_of(screen):
    """The ids of the language servers of a Neovim."""
    pid = screen.evaluate("getpid()")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"server" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_the_server_hears_what_is_shown_and_taken(project):
    item = {"insertText": "naïve🐍 = 2", "command": ACCEPT}
    screen = project.open_with_items("x = \n", {"automatic": [item]}, at=(1, 4))
    screen.send("A")
    screen.wait_for_ghost("naïve🐍 = 2")
    screen.send("nai\x7fï")  # typed through, with a slip
    screen.wait(lambda _: project.sent("textDocument/didShowCompletion"), "the item's report")
    shown = project.sent("textDocument/didShowCompletion")[0]["item"]
    assert shown["insertText"] == "naïve🐍 = 2"
    assert shown["command"] == ACCEPT


def test_parts_are_counted_in_utf_16_from_the_start_of_the_item(project):
    item = {"insertText": "a🐍\n  b = 2", "command": ACCEPT}
    screen = project.open_with_items(b"x = \r\n", {"automatic": [item]}, at=(1, 4))
    screen.send("A")
    screen.wait_for_ghost("a🐍\n  b = 2")
    screen.send(WORD)
    screen.wait_for_ghost("  b = 2")
    screen.send(WORD)
    screen.wait_for_ghost(" = 2")
    method = "textDocument/didPartiallyAcceptCompletion"
    screen.wait(lambda _: len(project.sent(method)) == 2, "two parts")
    assert [params["acceptedLength"] for params in project.sent(method)] == [3, 7]
    assert project.sent("workspace/executeCommand") == []
    screen.send(TAB)
    screen.wait(lambda _: project.sent("workspace/executeCommand"), "the item's command")
    command = project.sent("workspace/executeCommand")[0]
    assert (command["command"], command["arguments"]) == (ACCEPT["command"], ACCEPT["arguments"])
    assert len(project.sent(method)) == 2


def test_wide_line_breaks_count_in_the_length_of_a_part(project):
    item = {"insertText": "a\r\nb = 2"}
    screen = project.open_with_items(b"x = \r\n", {"automatic": [item]}, at=(1, 4))
    screen.send("A")
    screen.wait_for_ghost("a\nb = 2")
    screen.send(WORD + WORD)
    screen.wait_for_ghost(" = 2")
    lengths = lambda: [each["acceptedLength"] for each in project.sent("textDocument/didPartiallyAcceptCompletion")]  # noqa: E731
    screen.wait(lambda _: lengths() == [1, 4], "both lengths")


def test_our_server_counts_what_became_of_texts(project):
    screen = project.open("x = \n", "--text", "self.misses", at=(1, 4))
    screen.send("A")
    screen.wait_for_ghost("self.misses")
    screen.send(WORD)
    screen.wait_for_ghost(".misses")
    screen.send(TAB)
    screen.wait_for_buffer("x = self.misses")
    screen.leave_insert()
    screen.command("Quicksilver status")
    screen.wait_for("1 taken, 1 in part")


def test_an_answer_about_an_older_text_is_not_shown(project):
    item = {"insertText": "at_POSITION"}
    screen = project.open_with_items("x = \n", {"automatic": [item]}, "--delay-ms", "500", at=(1, 4))
    screen.send("A1")
    screen.wait(lambda _: project.sent("textDocument/inlineCompletion"), "a question")
    seen = set()

    def look(_):
        seen.add(screen.ghost)
        return screen.ghost == "at_7"

    for n, letter in enumerate("23", start=2):
        screen.send(letter)
        screen.wait(lambda s, n=n: s.lines[0].startswith("x = 123"[: 4 + n]), "the letter")
        screen.wait(lambda _, n=n: len(project.sent("textDocument/inlineCompletion")) >= n, "another question")
    screen.wait(look, "the answer to the last one")
    assert seen == {"", "at_7"}


def test_an_error_is_logged_and_does_not_disturb(project):
    screen = project.open_with_items("x = \n", {"error": "something broke"}, at=(1, 4))
    screen.send("A")
    screen.wait(lambda _: "something broke" in project.plugin_log(), "a line in the log")
    screen.send("12")
    screen.wait_for_buffer("x = 12")
    screen.send(ASK)
    screen.wait_for("failed to answer")
    assert screen.evaluate("mode()") == "i"


def test_an_answer_of_null_takes_old_text_away(project):
    screen = project.open_with_items("x = \n", {"automatic": [{"insertText": "first"}]}, at=(1, 4))
    screen.send("A")
    screen.wait_for_ghost("first")
    (project.folder / "answers.json").write_text('{"automatic": []}')
    screen.send("z")
    screen.wait_for_ghost("")


def test_turning_asks_by_hand_and_keeps_what_fits(project):
    answers = {
        "automatic": [{"insertText": "one"}],
        "invoked": [{"insertText": "one"}, {"insertText": "two"}, {"insertText": "twice"}],
    }
    screen = project.open_with_items("x = \n", answers, at=(1, 4))
    screen.send("A")
    screen.wait_for_ghost("one")
    screen.send(NEXT)
    screen.wait_for_ghost("two")
    kinds = [params["context"]["triggerKind"] for params in project.sent("textDocument/inlineCompletion")]
    assert kinds == [2, 1]
    screen.send("twi")  # no longer "two", still "twice"
    screen.wait_for_ghost("ce")
    assert len(project.sent("textDocument/inlineCompletion")) == 2


def test_the_server_is_told_settings_and_capabilities(project):
    screen = project.open_with_items("x = 1\n", {}, options="filetypes = { 'python', 'lua' },")
    first = project.sent("initialize")[0]
    assert first["initializationOptions"] == {
        "min_confidence": 0,
        "settle_ms": 0,
        "log_level": "warning",
        "languages": ["lua", "python"],
    }
    assert first["capabilities"]["experimental"]["quicksilver"] == {"status": True}
    assert first["capabilities"]["workspace"]["configuration"] is True
    assert "inlineCompletion" in first["capabilities"]["textDocument"]
    assert screen.lua("return #require('quicksilver.server').clients()") == 1


def test_the_workspace_is_where_a_marker_is(project):
    (project.file.parent / "pyproject.toml").write_text("")
    deep = project.file.parent / "one" / "two"
    deep.mkdir(parents=True)
    screen = project.open_with_items("x = 1\n", {}, name="one/two/deep.py")
    screen.settle(2)
    root = project.sent("initialize")[0]["rootUri"]
    assert root == project.file.parents[2].as_uri()


def test_the_server_hears_where_the_cursor_rests(project):
    screen = project.open_with_items("x = 1\ny = 2\n", {})
    screen.send("j")
    screen.wait(lambda _: any(p["position"]["line"] == 1 for p in project.sent("quicksilver/warm")), "the place")


def test_a_file_that_gets_another_name(project):
    screen = project.open("x = \n", "--text", "'seen'", at=(1, 4))
    screen.command("file other.py")
    screen.send("A")
    screen.wait_for_ghost("'seen'")
    screen.leave_insert()
    screen.command("write")
    screen.command("saveas third.py")
    screen.wait(lambda _: screen.evaluate("expand('%:t')") == "third.py", "the name")
    screen.send("A#")
    screen.wait(lambda _: any(e["path"].endswith("third.py") for e in project.engine_events("asked")), "a question")


def test_a_buffer_that_gets_a_name(project):
    screen = project.start(server=scripted_server("--text", "'seen'", "--record", str(project.record)))
    screen.send("ix = ")
    screen.wait_for_buffer("x = ")
    screen.leave_insert()
    screen.command("set filetype=python")
    screen.settle()
    assert screen.lua("return require('quicksilver').status()") == ""
    screen.command("write named.py")
    screen.wait_for_server()
    screen.send("A")
    screen.wait_for_ghost("'seen'")


def test_a_server_that_ends_is_started_again(project):
    screen = project.open("x = \n", "--text", "'seen'", at=(1, 4))
    [first] = processes_of(screen)
    os.kill(first, signal.SIGKILL)
    screen.wait(lambda _: [p for p in processes_of(screen) if p != first], "another server")
    screen.wait_for_server()
    screen.send("A")
    screen.wait_for_ghost("'seen'")
    assert "ended by itself" in project.plugin_log()


def test_a_server_that_keeps_ending_is_left_alone(project):
    screen = project.start(str(project.file), server=[sys.executable, "-c", "import sys; sys.exit(3)"])
    screen.wait(lambda _: screen.lua("return require('quicksilver').status()") == "qs failed", "the state")
    assert project.plugin_log().count("ended by itself") == 4
    screen.command("Quicksilver status")
    screen.wait_for("keeps ending")


def test_a_server_that_is_missing(project):
    screen = project.start(str(project.file), server=["quicksilver-that-is-missing", "lsp"])
    screen.wait(lambda _: screen.lua("return require('quicksilver').status()") == "qs failed", "the state")
    screen.wait_for("Quicksilver: quicksilver-that-is-missing cannot be run")
    assert "Press ENTER" not in screen.text
    screen.send("ihello")
    screen.wait_for_buffer("hello")


def test_the_colours_of_a_colour_scheme(project):
    screen = project.open_with_items("x = \n", {})
    screen.evaluate("execute('colorscheme default')")
    assert "links to Comment" in screen.evaluate("execute('highlight QuicksilverGhost')")


def test_status_in_the_status_line(project):
    line = "vim.opt.laststatus = 2; vim.opt.statusline = \"[%{v:lua.require'quicksilver'.status()}]\""
    screen = project.open_with_items(
        "x = \n", {"automatic": [], "status": READY | {"state": "busy"}}, at=(1, 4), lua=line
    )
    screen.wait_for("[qs ...]")
    snoozed = f'{{"status": {{"state": "snoozed", "message": "later", "snoozed_until_ms": {10**13}}}}}'
    (project.folder / "answers.json").write_text(snoozed)
    screen.send("A")
    screen.wait_for("[qs snoozed ")


def test_commands(project):
    screen = project.open("x = \n", "--text", "'seen'", at=(1, 4))
    screen.wait(lambda _: screen.lua("return require('quicksilver').status()") == "qs ready", "the engine")
    screen.command("Quicksilver")
    screen.wait_for("Quicksilver: ready: ")
    screen.command("Quicksilver toggle")
    screen.wait_for("Quicksilver: off: ")
    screen.send("A" + ESC)
    screen.command("Quicksilver toggle on")
    screen.wait_for("Quicksilver: ready: ")
    screen.command("Quicksilver snooze 5")
    screen.wait_for("Quicksilver: snoozed: ")
    assert re.fullmatch("qs snoozed [45]m", screen.lua("return require('quicksilver').status()"))
    screen.send("A")
    screen.settle()
    assert screen.ghost == ""
    screen.send(ESC)
    screen.command("Quicksilver snooze 0")
    screen.wait_for("Quicksilver: ready: ")
    screen.send("A")
    screen.wait_for_ghost("'seen'")
    screen.leave_insert()
    screen.command("Quicksilver why")
    screen.wait_for("got an answer: 6 characters")
    screen.picture("why")
    screen.command("Quicksilver nonsense")
    screen.wait_for("known: log, restart, snooze, status, toggle, why")


def test_switched_off_before_there_is_a_server(project):
    project.file.write_text("x = \n")
    screen = project.start(server=scripted_server("--text", "'seen'", "--record", str(project.record)))
    screen.command("Quicksilver toggle off")
    screen.command(f"edit +call\\ cursor(1,4) {project.file}")
    screen.wait_for_server()
    screen.wait(lambda _: screen.lua("return require('quicksilver').status()") == "qs off", "the state")
    screen.send("A")
    screen.settle()
    assert project.engine_events("asked") == []


def test_what_commands_complete_to(project):
    screen = project.start(server=["quicksilver-that-is-missing", "lsp"])
    names = ["log", "restart", "snooze", "status", "toggle", "why"]
    assert screen.evaluate("getcompletion('Quicksilver ', 'cmdline')") == names
    assert screen.evaluate("getcompletion('Quicksilver s', 'cmdline')") == ["snooze", "status"]
    assert screen.evaluate("getcompletion('Quicksilver log ', 'cmdline')") == ["engine", "plugin", "server"]
    assert screen.evaluate("getcompletion('Quicksilver why ', 'cmdline')") == []


def test_logs(project):
    talkative = "settings = { min_confidence = 0, log_level = 'info' },"  # without a line there is no log
    screen = project.open("x = \n", "--text", "'seen'", at=(1, 4), options=talkative)
    screen.send("A")
    screen.wait_for_ghost("'seen'")
    screen.leave_insert()
    screen.command("Quicksilver log server")
    screen.wait(lambda _: screen.evaluate("expand('%:t')") == "lsp.log", "the server's log")
    screen.command("Quicksilver log engine")
    screen.wait(lambda _: screen.evaluate("expand('%:t')") == project.record.name, "the engine's log")
    screen.command("Quicksilver log")
    screen.wait_for("there is no log of the plugin (yet)")


def test_restart(project):
    screen = project.open("x = \n", "--text", "'seen'", at=(1, 4))
    [first] = processes_of(screen)
    screen.command("Quicksilver restart")
    screen.wait(lambda _: processes_of(screen) and first not in processes_of(screen), "another server")
    screen.wait_for_server()
    screen.send("A")
    screen.wait_for_ghost("'seen'")
    assert "ended by itself" not in project.plugin_log()


def test_health(project):
    screen = project.open("x = 1\n", rows=40)
    screen.command("checkhealth quicksilver")
    screen.wait_for("language server 1")
    screen.picture("health")
    report = "\n".join(screen.buffer)
    assert f"Neovim {'.'.join(map(str, version_of(project.nvim)))}." in report
    assert "<Tab>: accept" in report
    assert "ERROR" not in report
    assert "positions in utf-8" in report if version_of(project.nvim) >= (0, 12) else "positions in utf-16" in report


def test_health_where_the_program_is_missing(project):
    screen = project.start(str(project.file), server=["quicksilver-that-is-missing", "lsp"], rows=40)
    screen.command("checkhealth quicksilver")
    screen.wait_for("ADVICE")
    assert "quicksilver-that-is-missing cannot be run" in "\n".join(screen.buffer)


def test_wrong_options_are_told_and_the_defaults_hold(project):
    screen = project.open("x = \n", "--text", "'seen'", at=(1, 4), options="debounce_ms = 'fast', colour = 'red',")
    log = project.plugin_log()
    assert "option debounce_ms must be a number from 0 to 10000" in log
    assert "option colour is not an option" in log
    screen.send("A")
    screen.wait_for_ghost("'seen'")


def program(folder, *options):
    """A folder with a program `quicksilver` in it that is a scripted server."""
    folder.mkdir()
    file = folder / "quicksilver"
    file.write_text(f"#!/bin/sh\nexec {shlex.join(scripted_server('--confidence', '1', *options))}\n")
    file.chmod(0o755)
    return folder


def test_without_setup(project, tmp_path):
    project.file.write_text("x = \n")
    around = {"PATH": f"{program(tmp_path / 'programs', '--text', 'seen')}:{os.environ['PATH']}"}
    lua = f"vim.opt.runtimepath:append('{PLUGIN}')"
    screen = project.start("+call cursor(1, 4)", str(project.file), server=(), set_up=False, lua=lua, env=around)
    screen.wait_for_server()
    screen.send("A")
    screen.wait_for_ghost("seen")
    screen.send(TAB)
    screen.wait(lambda _: screen.buffer[0] != "x = ", "a tab")
    assert screen.buffer[0].strip() == "x ="


def test_loaded_while_a_person_types_already(project, tmp_path):
    project.file.write_text("x = \n")
    folder = program(tmp_path / "programs", "--text", "seen")
    lua = f"""
      vim.api.nvim_create_autocmd('InsertEnter', {{ once = true, callback = function()
        vim.opt.runtimepath:append('{PLUGIN}')
        vim.cmd('runtime plugin/quicksilver.lua')
        require('quicksilver').setup({{ cmd = {{ '{folder}/quicksilver', 'lsp' }}, keymaps = true }})
      end }})"""
    screen = project.start("+call cursor(1, 4)", str(project.file), server=(), set_up=False, lua=lua)
    screen.send("A")
    screen.wait_for_ghost("seen")
    screen.send(TAB)
    screen.wait_for_buffer("x = seen")


def test_keys_of_ones_own(project, tmp_path):
    project.file.write_text("x = \n")
    folder = program(tmp_path / "programs", "--text", "seen(1)", "--other", "other")
    lua = f"""
      vim.opt.runtimepath:append('{PLUGIN}')
      require('quicksilver').setup({{ cmd = {{ '{folder}/quicksilver', 'lsp' }} }})
      vim.cmd('imap <C-l> <Plug>(quicksilver-accept-word)')
      vim.cmd('imap <C-b> <Plug>(quicksilver-next)')
      vim.keymap.set('i', '<Tab>', function()
        return require('quicksilver').accept() and '' or 'TAB'
      end, {{ expr = true }})"""
    screen = project.start("+call cursor(1, 4)", str(project.file), server=(), set_up=False, lua=lua)
    screen.wait_for_server()
    screen.send("A")
    screen.wait_for_ghost("seen(1)")
    screen.send("\x02")
    screen.wait_for_ghost("other")
    screen.send("\x02")
    screen.wait_for_ghost("seen(1)")
    screen.send("\x0c")
    screen.wait_for_ghost("(1)")
    screen.send(TAB)
    screen.wait_for_buffer("x = seen(1)")
    screen.leave_insert()
    screen.command("Quicksilver toggle off")
    screen.wait_for("off")
    screen.send("A" + TAB)
    screen.wait_for_buffer("x = seen(1)TAB")


def test_new_options_start_the_server_anew(project):
    screen = project.open("x = \n", "--text", "'seen'", at=(1, 4))
    [first] = processes_of(screen)
    setup = (
        "local now = require('quicksilver.config').current;"
        "require('quicksilver').setup({ cmd = now.cmd, settings = %s, automatic = false })"
    )
    screen.lua(setup % "now.settings")
    screen.settle()
    assert processes_of(screen) == [first]
    screen.lua(setup % "{ prose = false }")
    screen.wait(lambda _: processes_of(screen) and first not in processes_of(screen), "another server")


def test_help_with_the_lines_of_the_readme(project):
    lines = re.search(r"```lua\n(.*?)```", (PLUGIN / "README.md").read_text(), re.DOTALL)
    assert lines is not None
    lua = lines[1].replace("/path/to/quicksilver/editors/nvim", str(PLUGIN))
    screen = project.start(server=(), set_up=False, lua=lua)
    screen.command("help quicksilver-client")
    screen.wait_for("ITS OWN CLIENT OR NEOVIM'S")
    screen.picture("help")


def test_the_help_tags_are_current(project, tmp_path):
    screen = project.start(server=["quicksilver-that-is-missing", "lsp"])
    help_file, doc = PLUGIN / "doc" / "quicksilver.txt", tmp_path / "doc"
    doc.mkdir()
    (doc / help_file.name).write_bytes(help_file.read_bytes())
    screen.evaluate(f"execute('helptags {doc}')")
    tags = (doc / "tags").read_text()
    assert help_file.with_name("tags").read_text() == tags, "run: nvim --clean --headless -c 'helptags doc' -c q"
    linked = set(re.findall(r"\|(quicksilver[\w-]*|:Quicksilver)\|", help_file.read_text()))
    assert linked <= {line.split("\t")[0] for line in tags.splitlines()}


def test_neovims_own_client(project, nvim):
    if version_of(nvim) < (0, 12):
        pytest.skip("Neovim has an inline completion of its own from 0.12 on")
    native = "client = 'native',"
    colour = "vim.cmd('highlight ComplHint ctermfg=201')"
    screen = project.open("x = \n", "--text", "first, second", at=(1, 4), options=native, lua=colour)
    screen.send("A")
    screen.wait_for_ghost("first, second")
    screen.send(WORD)
    screen.wait(lambda _: screen.buffer[0] == "x = first", "a word")
    screen.wait_for_ghost(", second")
    screen.send(TAB)
    screen.wait_for_buffer("x = first, second")


def test_neovims_own_client_with_the_lines_of_the_page(project, nvim, tmp_path):
    if version_of(nvim) < (0, 12):
        pytest.skip("Neovim has an inline completion of its own from 0.12 on")
    page = (PLUGIN.parents[1] / "docs" / "editors.md").read_text()
    lines = re.search(r"```lua\n(.*?)```", page, re.DOTALL)
    assert lines is not None
    server = program(tmp_path / "programs", "--text", "seen") / "quicksilver"
    lua = lines[1].replace("/path/to/quicksilver/.venv/bin/quicksilver", str(server))
    project.file.write_text("x = \n")
    arguments = ["+call cursor(1, 4)", str(project.file)]
    colour = "vim.cmd('highlight ComplHint ctermfg=201')"
    screen = project.start(*arguments, server=(), set_up=False, lua=lua + colour)
    screen.wait(lambda _: screen.lua("return #vim.lsp.get_clients()") == 1, "a server")
    screen.send("A")
    screen.wait_for_ghost("seen")
    screen.send(TAB)
    screen.wait_for_buffer("x = seen")


def test_neovims_own_client_does_not_draw_a_second_text(project, nvim):
    if version_of(nvim) < (0, 12):
        pytest.skip("Neovim has an inline completion of its own from 0.12 on")
    screen = project.open_with_items(
        "x = \n", {"automatic": [{"insertText": "first"}]}, at=(1, 4), lua="vim.lsp.inline_completion.enable()"
    )
    screen.send("A")
    screen.wait_for_ghost("first")
    screen.settle(30)
    assert screen.lines[0] == "x = first"
    assert len(project.sent("textDocument/inlineCompletion")) == 1
