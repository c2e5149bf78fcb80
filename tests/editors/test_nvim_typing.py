"""Neovim: ghost text while a person types. What is shown, what stays, what is taken, and when nothing may be shown."""

import pytest
from nvim_screen import ASK, BACKSPACE, DISMISS, ESC, NEXT, PREVIOUS, TAB, WORD

CLASS = "class Cache:\n    def __init__(self):\n        \n"
HOLE = (3, 8)  # the empty line; A appends there
TEXT = "self.misses = 0"


@pytest.fixture
def at_hole(project):
    """Insert mode at the hole, with the whole text on show."""
    screen = project.open(CLASS, "--text", TEXT, at=HOLE)
    screen.send("A")
    screen.wait_for_ghost(TEXT)
    return screen


def test_typing_what_is_shown_keeps_the_rest_and_asks_nothing(project, at_hole):
    n_asked = len(project.engine_events("asked"))
    for typed in ("self", ".", "miss"):
        before = at_hole.ghost
        at_hole.send(typed)
        at_hole.wait_for_ghost(before.removeprefix(typed))
    assert at_hole.lines[2] == "        " + TEXT
    assert at_hole.cursor == (2, 17)
    assert len(project.engine_events("asked")) == n_asked


def test_the_ghost_text_never_disappears_while_it_is_typed(at_hole):
    looks = at_hole.lua(
        "local ghost, session = require('quicksilver.ghost'), require('quicksilver.session');"
        "looks = {};"
        "vim.api.nvim_set_decoration_provider(vim.api.nvim_create_namespace('test'), {on_win = function(_, _, buf)"
        "  table.insert(looks, ghost.text(buf) or '') end});"
        "return #looks"
    )
    assert looks == 0
    for letter in "self.mi":
        n_left = len(at_hole.ghost)
        at_hole.send(letter)
        at_hole.wait(lambda screen, n=n_left: len(screen.ghost) == n - 1, "one letter less")
    drawn = at_hole.lua("return looks")
    assert drawn[-1] == "sses = 0"
    assert "" not in drawn


def test_a_backspace_gives_the_typed_letter_back(at_hole):
    at_hole.send("se")
    at_hole.wait_for_ghost("lf.misses = 0")
    at_hole.send(BACKSPACE)
    at_hole.wait_for_ghost("elf.misses = 0")


def test_typing_something_else_hides_it_and_asks_again(project, at_hole):
    at_hole.send("x")
    at_hole.wait(lambda _: any(e["prefix"].endswith("        x") for e in project.engine_events("asked")), "a question")
    at_hole.wait(lambda screen: screen.lines[2].startswith("        x"), "the x")
    assert not at_hole.ghost.startswith("elf")


def test_words_then_the_rest(project, at_hole):
    for word, left in (("self", ".misses = 0"), (".misses", " = 0"), (" =", " 0")):
        at_hole.send(WORD)
        at_hole.wait_for_ghost(left)
        assert at_hole.buffer[2].endswith(word)
    at_hole.send(TAB)
    at_hole.wait_for_buffer("class Cache:", "    def __init__(self):", "        " + TEXT)
    assert at_hole.written(project.file) == b"class Cache:\n    def __init__(self):\n        self.misses = 0\n"


def test_accepted_text_is_one_undo_step(at_hole):
    at_hole.send("self")
    at_hole.wait_for_ghost(".misses = 0")
    at_hole.send(TAB)
    at_hole.wait_for_buffer(*CLASS.splitlines()[:2], "        " + TEXT)
    at_hole.send("  # none")
    at_hole.wait(lambda screen: screen.buffer[2].endswith("# none"), "what was typed after it")
    at_hole.leave_insert()
    for left in (TEXT, "self", ""):
        at_hole.send("u")
        at_hole.wait_for_buffer(*CLASS.splitlines()[:2], "        " + left)
    for back in ("self", TEXT):
        at_hole.send("\x12")  # redo
        at_hole.wait_for_buffer(*CLASS.splitlines()[:2], "        " + back)


def test_dismissed_text_stays_away_until_something_is_typed(project, at_hole):
    at_hole.send(DISMISS)
    at_hole.wait_for_ghost("")
    at_hole.settle()
    assert at_hole.ghost == ""
    at_hole.send("s")
    at_hole.wait(lambda _: at_hole.ghost, "an answer to the new letter")


def test_keys_fall_through_when_there_is_nothing(project):
    screen = project.open("value = 1\n", "--text", "x", at=(1, 9), options="automatic = false,")
    screen.lua("vim.bo.expandtab = false")
    screen.send("A" + TAB)
    screen.wait_for_buffer("value = 1\t")


def test_a_key_that_had_a_mapping_keeps_it_for_when_there_is_nothing(project):
    mapped = "vim.keymap.set('i', '<Tab>', function() return 'MAPPED' end, { expr = true })"
    screen = project.start("+startinsert", str(project.file), server=["quicksilver-that-is-missing", "lsp"], lua="")
    screen.lua(mapped + "; require('quicksilver').setup({ keymaps = { accept = '<Tab>' } })")
    screen.send(TAB)
    screen.wait_for_buffer("MAPPED")
    screen.lua("require('quicksilver').setup({})")
    screen.send(TAB)
    screen.wait_for_buffer("MAPPEDMAPPED")


def test_questions_are_cancelled_while_typing_fast(project):
    screen = project.open("\n", "--delay-ms", "700")
    screen.send("i")
    for n, letter in enumerate("count", start=1):
        screen.send(letter)
        screen.wait(lambda _, n=n: any(e["prefix"] == "count"[:n] for e in project.engine_events("asked")), "asked")
    screen.wait_for_ghost("seen_5")
    answered = [event["prefix"] for event in project.engine_events("answered")]
    cancelled = [event["prefix"] for event in project.engine_events("cancelled")]
    assert answered == ["count"]
    assert {"c", "co", "cou", "coun"} <= set(cancelled)


def test_leaving_insert_mode_takes_the_question_back(project):
    screen = project.open("x = \n", "--delay-ms", "60000", at=(1, 4))
    screen.send("A")
    screen.wait(lambda _: project.engine_events("asked"), "a question")
    screen.send(ESC)
    screen.wait(lambda _: project.engine_events("cancelled"), "a cancelled one")
    assert screen.ghost == ""


def test_several_items_are_turned_through(project):
    others = ("--other", "self.hits = 0", "--other", "self.size = 0")
    screen = project.open(CLASS, "--text", TEXT, *others, at=HOLE)
    screen.send("A")
    screen.wait_for_ghost(TEXT)
    screen.send(NEXT)
    screen.wait_for_ghost("self.hits = 0")
    screen.wait_for("(2/3)")
    screen.picture("cycling")
    screen.send(NEXT)
    screen.wait_for_ghost("self.size = 0")
    screen.send(NEXT)
    screen.wait_for_ghost(TEXT)
    screen.send(PREVIOUS)
    screen.wait_for_ghost("self.size = 0")
    screen.send(TAB)
    screen.wait_for_buffer(*CLASS.splitlines()[:2], "        self.size = 0")


def test_asking_by_hand_works_where_nothing_is_offered(project):
    screen = project.open(CLASS, "--text", TEXT, at=HOLE, options="automatic = false,")
    screen.send("A")
    screen.settle()
    assert screen.ghost == ""
    assert project.engine_events("asked") == []
    screen.send(ASK)
    screen.wait_for_ghost(TEXT)


def test_asking_by_hand_says_why_there_is_nothing(project):
    screen = project.open(CLASS, "--text", " ", at=HOLE)
    screen.send("A" + ASK)
    screen.wait_for("(the model had nothing to add here)")
    screen.picture("why-nothing")
    screen.send("x")
    screen.wait(lambda _: "(the model" not in screen.text, "the note's end")


def test_the_popup_menu_and_ghost_text_take_turns(project):
    content = "misses_one = 1\nmisses_two = 2\n\n"
    alone = "settings = { min_confidence = 0, prefetch = false },"  # what is asked ahead would count as a question
    screen = project.open(content, "--text", "misses_one", at=(3, 1), options=alone)
    screen.send("A")
    screen.wait_for_ghost("misses_one")
    screen.send("mis")
    screen.wait_for_ghost("ses_one")
    screen.send("\x0e")  # Ctrl-N
    screen.wait(lambda _: screen.evaluate("pumvisible()") == 1, "the menu")
    screen.wait_for_ghost("")
    screen.picture("popup-menu")
    n_asked = len(project.engine_events("asked"))
    screen.settle()
    assert screen.ghost == ""
    assert len(project.engine_events("asked")) == n_asked
    screen.send("\x05")  # Ctrl-E: away with the menu
    screen.wait_for_ghost("ses_one")


def test_where_nothing_is_chosen_in_the_menu_the_first_line_may_stay(project):
    content = "hits_one = 1\nhits_two = 2\n\ndef f(a):\n    \n"
    menu = "vim.opt.completeopt = 'menuone,noselect'"
    whole = ("--text", "hits_one = a\n    return hits_one")
    screen = project.open(content, *whole, at=(5, 4), options="popup_menu = 'line',", lua=menu)
    screen.send("A" + ASK)
    screen.wait_for_ghost("hits_one = a\n    return hits_one")
    screen.send("hit")
    screen.wait_for_ghost("s_one = a\n    return hits_one")
    screen.send("\x0e")
    screen.wait(lambda _: screen.evaluate("pumvisible()") == 1, "the menu")
    screen.wait_for_ghost("s_one = a")
    screen.picture("popup-menu-line")
    screen.send("\x0e")
    screen.wait_for_ghost("")
    screen.send("\x10")  # Ctrl-P: back to what was typed
    screen.wait_for_ghost("s_one = a")
    screen.send(TAB)
    screen.wait(lambda _: screen.buffer[4] == "    hits_one = a", "the line that was on show")
    screen.wait_for_ghost("    return hits_one")


@pytest.mark.parametrize(
    ("keys", "setting"),
    [
        ("A", "vim.opt.paste = true"),
        ("R", ""),
        ("qqA", ""),
        ("A", "vim.opt.readonly = true"),
        ("\x16jI", ""),  # Ctrl-V, a line down, I: typed on both lines
        ("A", "vim.b.quicksilver_enabled = false"),
        ("A", "vim.b.visual_multi = 1"),
    ],
    ids=["paste", "replace", "macro", "readonly", "block", "buffer-off", "many-cursors"],
)
def test_silent(project, keys, setting):
    screen = project.open("x = 1\ny = 2\n", "--text", TEXT, at=(1, 5))
    if setting:
        screen.lua(setting)
    screen.send(keys)
    screen.wait(lambda _: screen.evaluate("mode()") in ("i", "R"), "typing")
    screen.send(" ")
    screen.settle()
    assert screen.ghost == ""
    assert project.engine_events("asked") == []


def test_other_files_are_left_alone(project):
    screen = project.start(str(project.file.with_name("notes.txt")), server=["quicksilver-that-is-missing", "lsp"])
    screen.wait(lambda _: screen.evaluate("&filetype") == "text", "the file")
    screen.send("ihello")
    screen.wait_for_buffer("hello")
    assert screen.lua("return require('quicksilver').status()") == ""
