"""Neovim: where ghost text stands, and what is put into files: within lines, over several, with any line break."""

import random

import pytest
from nvim_screen import ASK, BACKSPACE, DISMISS, ENTER, ESC, LINE, NEXT, TAB, WORD, version_of

BLOCK = "if a:\n        return 1\n    return 2"


def has_inline(nvim):
    return version_of(nvim) >= (0, 10)


def test_several_lines_are_accepted_one_by_one(project):
    screen = project.open("def f(a):\n    \nb = 1\n", "--text", BLOCK, at=(2, 4))
    screen.send("A" + ASK)
    screen.wait_for_ghost(BLOCK)
    assert screen.lines[:5] == ["def f(a):", "    if a:", "        return 1", "    return 2", "b = 1"]
    screen.picture("multi-line")
    screen.send(LINE)
    screen.wait_for_buffer("def f(a):", "    if a:", "b = 1")
    screen.wait_for_ghost("        return 1\n    return 2")
    screen.send(LINE)
    screen.wait_for_buffer("def f(a):", "    if a:", "        return 1", "b = 1")
    screen.wait_for_ghost("    return 2")
    screen.send(LINE)
    screen.wait_for_buffer("def f(a):", "    if a:", "        return 1", "    return 2", "b = 1")


def test_several_lines_are_one_undo_step(project):
    screen = project.open("def f(a):\n    \nb = 1\n", "--text", BLOCK, at=(2, 4))
    screen.send("A" + ASK)
    screen.wait_for_ghost(BLOCK)
    screen.send(TAB)
    screen.wait_for_buffer("def f(a):", *("    " + BLOCK).split("\n"), "b = 1")
    assert screen.evaluate("getcurpos()[1:2]") == [4, 13]
    screen.leave_insert()
    screen.send("u")
    screen.wait_for_buffer("def f(a):", "    ", "b = 1")


def test_typing_enter_goes_on_in_the_next_line(project):
    screen = project.open("def f(a):\n    \n", "--text", BLOCK, at=(2, 4))
    screen.send("A" + ASK)
    screen.wait_for_ghost(BLOCK)
    screen.send("if a:")
    screen.wait_for_ghost("        return 1\n    return 2")
    n_asked = len(project.engine_events("asked"))
    screen.send(ENTER)
    screen.wait(lambda _: len(screen.buffer) == 3, "a new line")
    screen.wait_for_ghost("return 1\n    return 2")
    assert len(project.engine_events("asked")) == n_asked


def test_within_a_line_what_stands_right_stays_in_sight(project):
    screen = project.open("total = max()  # of all\n", "--text", "one, two", at=(1, 13))
    screen.send("i")
    screen.wait_for_ghost("one, two")
    assert screen.lines[0] == "total = max(one, two)  # of all"
    screen.wait(lambda _: screen.cursor == (0, 12), "the cursor back from where it drew")
    screen.picture("within-line")
    screen.send("on")
    screen.wait_for_ghost("e, two")
    assert screen.lines[0] == "total = max(one, two)  # of all"
    screen.wait(lambda _: screen.cursor == (0, 14), "the cursor back from where it drew")
    screen.send(TAB)
    screen.wait_for_buffer("total = max(one, two)  # of all")


def test_what_stands_right_of_ghost_text_keeps_its_colours(project):
    screen = project.open("total = max()  # of all\n", "--text", "one, two", at=(1, 13))
    row = screen.screen.buffer[0]
    plain = row[screen.lines[0].index("# of all")].fg
    screen.send("i")
    screen.wait_for_ghost("one, two")
    assert row[screen.lines[0].index("# of all")].fg == plain


def test_without_room_within_a_line_it_stands_below(project, nvim):
    line = "total = max()  # " + "of all " * 8
    screen = project.open(line + "\n", "--text", "one, two", at=(1, 13), columns=76)
    screen.send("i")
    screen.wait(lambda _: "one, two" in screen.ghost, "ghost text")
    screen.picture("no-room")
    if has_inline(nvim):
        assert screen.lines[0].startswith("total = max(one, two)  # of")
    else:
        assert screen.lines[:2] == [line.rstrip(), "            ^ one, two"]
    screen.send(TAB)
    screen.wait_for_buffer(line.replace("max()", "max(one, two)"))


def test_several_lines_within_a_line_end_with_what_stood_right(project):
    item = {"insertText": "\n    one,\n    two,\n)", "range": "line"}
    screen = project.open_with_items("total = max()\nrest = 1\n", {"automatic": [item]}, at=(1, 13))
    screen.send("i")
    screen.wait_for_ghost("    one,\n    two,")
    screen.picture("breaking-line")
    assert screen.lines[:5] == ["total = max(", "    one,", "    two,", ")", "rest = 1"]
    screen.wait(lambda _: screen.cursor == (0, 12), "the cursor back from where it drew")
    screen.send(TAB)
    screen.wait_for_buffer("total = max(", "    one,", "    two,", ")", "rest = 1")


def test_an_item_that_would_remove_what_stands_right_is_not_shown(project):
    items = [{"insertText": "1)", "range": "line"}, {"insertText": {"kind": "snippet", "value": "x"}}]
    screen = project.open_with_items("total = max() + 2\n", {"automatic": items}, at=(1, 13))
    screen.send("i")
    screen.wait(lambda _: project.sent("textDocument/inlineCompletion"), "a question")
    screen.settle()
    assert screen.ghost == ""
    assert screen.lines[0] == "total = max() + 2"


def test_windows_line_breaks(project):
    content = b"def f(a):\r\n    \r\nb = 1\r\n"
    screen = project.open(content, "--text", BLOCK, at=(2, 4))
    assert screen.evaluate("&fileformat") == "dos"
    screen.send("A" + ASK)
    screen.wait_for_ghost(BLOCK)
    assert "^M" not in screen.text
    assert "\r" not in screen.text
    screen.picture("windows-line-breaks")
    screen.send(LINE + LINE + LINE)
    screen.wait(lambda _: len(screen.buffer) == 5, "all lines")
    assert "^M" not in screen.text
    assert screen.written(project.file) == b"def f(a):\r\n    if a:\r\n        return 1\r\n    return 2\r\nb = 1\r\n"
    assert project.engine_events("asked")[-1]["suffix"].endswith("b = 1\r\n")


def test_a_file_of_two_kinds_of_line_breaks(project):
    content = b"a = 1\ndef f(a):\r\n    \r\nb = 1\r\n"
    screen = project.open(content, "--text", "return a", at=(3, 4), lua="vim.opt.fileformats = 'unix'")
    screen.send("A")  # behind the carriage return that Neovim shows
    screen.send("\x1b[D" + ASK)  # one to the left of it
    screen.wait_for_ghost("return a")
    screen.send(TAB)
    screen.wait(lambda _: screen.buffer[2] == "    return a\r", "the text")
    assert screen.written(project.file) == content.replace(b"    \r", b"    return a\r")


@pytest.mark.parametrize(
    "left", ["x = '🐍', ", "ключ = ", "名前 = ", "e\u0301 = "], ids=["emoji", "cyrillic", "wide", "mark"]
)
def test_positions_behind_other_than_ascii(project, left):
    screen = project.open(left + "\nlast = 1\n", "--text", "'naïve🐍'", at=(1, 100))
    screen.send("A")
    screen.wait(lambda _: "naïve" in screen.ghost, "ghost text")
    assert project.engine_events("asked")[-1]["prefix"] == left
    screen.send("'na")
    screen.wait(lambda _: screen.ghost.startswith("ïve"), "the rest")
    screen.picture("emoji")
    screen.send(TAB)
    screen.wait_for_buffer(left + "'naïve🐍'", "last = 1")
    assert screen.written(project.file).decode() == left + "'naïve🐍'\nlast = 1\n"
    screen.send("A#")
    screen.wait(lambda _: project.engine_events("asked")[-1]["prefix"] == left + "'naïve🐍'#", "the document")


def test_tabs_have_their_width(project):
    screen = project.open("def f(a):\n\t\n", "--text", "if a:\n\t\treturn 1\n\treturn 2", at=(2, 1))
    screen.lua("vim.bo.expandtab = false; vim.bo.tabstop = 4")
    screen.send("A" + ASK)
    screen.wait_for_ghost("if a:\n        return 1\n    return 2")
    assert screen.lines[1:4] == ["    if a:", "        return 1", "    return 2"]
    screen.send(TAB)
    screen.wait_for_buffer("def f(a):", "\tif a:", "\t\treturn 1", "\treturn 2")


def test_a_long_text_is_broken_where_the_window_ends(project):
    text = "first_argument, second_argument, third_argument"
    screen = project.open("value = [\nother = 1\n", "--text", text, at=(1, 9), columns=40)
    screen.send("A")
    screen.wait(lambda _: "third" in screen.text, "all of it")
    screen.picture("long")
    assert "".join(line.ljust(40) for line in screen.lines[:2]).rstrip() == "value = [" + text
    assert screen.lines[2] == "other = 1"


def test_a_message_at_the_end_of_the_line_does_not_mix_with_it(project):
    screen = project.open_with_items("value = \n", {"automatic": [{"insertText": "1"}]}, at=(1, 8))
    screen.lua(
        "local space = vim.api.nvim_create_namespace('test');"
        "vim.api.nvim_buf_set_extmark(0, space, 0, 0, { virt_text = { { 'SOMETHING IS WRONG', 'Error' } } })"
    )
    screen.wait_for("SOMETHING IS WRONG")
    screen.send("A")
    screen.wait_for_ghost("1")
    screen.picture("message")
    assert screen.lines[0] in ("value = 1", "value = 1 SOMETHING IS WRONG")


def test_a_bracket_that_another_plugin_closes(project):
    pairs = "vim.keymap.set('i', '(', '()<C-g>U<Left>')"
    screen = project.open("value = \n", "--text", "max(1, 2)", at=(1, 8), lua=pairs)
    screen.send("A")
    screen.wait_for_ghost("max(1, 2)")
    n_asked = len(project.engine_events("asked"))
    screen.send("max(")
    screen.wait_for_ghost("1, 2")
    assert screen.lines[0] == "value = max(1, 2)"
    assert len(project.engine_events("asked")) == n_asked
    screen.send(TAB)
    screen.wait_for_buffer("value = max(1, 2)")


@pytest.mark.parametrize("seed", range(2))
def test_whatever_is_typed_the_server_has_the_same_text(project, seed):
    keys = [*"ai().:,", "self", "x = ", "é", "🐍", "名", ENTER, TAB, BACKSPACE, WORD, LINE, NEXT, DISMISS, ASK, "\x17"]
    moves = [ESC + key for key in ("A", "o", "O", "jA", "kI", "ddi", "yypA", "uA", "J0i", ">>A", "xi")]
    content = ["class A:\n    def f(self):\n        \n", "import os\r\n\r\ndef f(a):\r\n\treturn 1\r\n"][seed]
    others = ("--other", "foo(bar)", "--other", "b\n  c")
    screen = project.open(content, "--text", "if a:\n        return '🐍'\n    return 2", *others)
    chance = random.Random(seed)
    for _ in range(150):
        screen.send(chance.choice(keys if chance.random() < 0.7 else moves))
        for _ in range(chance.randint(0, 3)):
            screen.read()
    screen.send(ESC + "Go#end")
    screen.wait(lambda _: any(e["prefix"].endswith("#end") for e in project.engine_events("asked")), "a question")
    asked = project.engine_events("asked")[-1]
    line_break = {"unix": "\n", "dos": "\r\n"}[screen.evaluate("&fileformat")]
    assert asked["prefix"] + asked["suffix"] == "".join(line + line_break for line in screen.buffer)
