"""Our Emacs client in a real Emacs, on a real screen: what a person sees, and what ends up in the file."""

import asyncio
import os
import signal

import pytest
from emacs_screen import (
    CTRL_DOWN,
    CTRL_G,
    CTRL_RIGHT,
    META,
    TAB,
    UNDO,
    EmacsProject,
    has_library,
    why_not,
)
from quicksilver.lsp_server.protocol.headless import server_command
from quicksilver.serving.client.engine_client import EngineClient
from quicksilver.serving.paths import find_home

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

BACKSPACE = "\x7f"


@pytest.fixture
def project(tmp_path):
    return EmacsProject(tmp_path)


def picture(screen, name):
    screen.save_picture(f"emacs-{name}")


def test_typing_shows_ghost_text_which_can_be_typed_through(project):
    with project.emacs("import os\n\nvalue =\n", "--text", "compute(1, 2)", at=(3, 7)) as screen:
        screen.send(" ")
        screen.wait_for_ghost("compute(1, 2)")
        assert screen.cursor == (2, 8)  # in front of the ghost text
        picture(screen, "ghost")
        screen.send("comp")
        screen.wait_for_ghost("ute(1, 2)")
        screen.send(BACKSPACE)
        screen.wait_for_ghost("pute(1, 2)")
        lines = {record["prefix"].rpartition("\n")[2] for record in project.events("asked")}
        assert lines <= {"value = ", "value = compute(1, 2)"}  # what follows is asked for ahead, by the server
        screen.send("x")
        screen.wait(lambda screen: "value = comx" in screen.text and "pute" not in screen.ghost, "no old ghost text")
        screen.save("import os\n\nvalue = comx\n")


def test_tab_takes_all_and_undo_takes_it_back_in_one_step(project):
    with project.emacs("import os\n\nvalue =\n", "--text", "compute(1, 2)", at=(3, 7)) as screen:
        screen.send(" ")
        screen.wait_for_ghost("compute(1, 2)")
        screen.send(TAB)
        screen.wait_for("value = compute(1, 2)")
        screen.save("import os\n\nvalue = compute(1, 2)\n")
        screen.send(UNDO)
        screen.save("import os\n\nvalue = \n")


def test_taking_a_word_then_a_line_then_the_rest(project):
    text = "total = a + b\n    return total"
    with project.emacs("def add(a, b):\n   \n", "--text", text, at=(2, 3)) as screen:
        screen.send(" ")
        screen.wait_for_ghost("total = a + b\n    return total")
        picture(screen, "multi-line")
        screen.send(CTRL_RIGHT)
        screen.wait_for_ghost(" = a + b\n    return total")
        screen.send(CTRL_RIGHT)
        screen.wait_for_ghost(" a + b\n    return total")
        screen.send(CTRL_DOWN)
        screen.wait_for_ghost("    return total")
        screen.save("def add(a, b):\n    total = a + b\n")
        screen.send(TAB)
        screen.save("def add(a, b):\n    total = a + b\n    return total\n")
        screen.send(UNDO)
        screen.save("def add(a, b):\n    total = a + b\n")


def test_dismissed_text_stays_away_and_tab_is_tab_again(project):
    with project.emacs("def add(a, b):\nreturn a + b\n", "--text", "+ seen", at=(2, 12)) as screen:
        screen.send(" ")
        screen.wait_for_ghost("+ seen")
        screen.send(CTRL_G)
        screen.wait(lambda screen: not screen.ghost, "no ghost text")
        screen.send(TAB)
        screen.save("def add(a, b):\n    return a + b \n")


def test_a_fast_typist_gets_what_fits_the_last_key(project):
    typed = "result = first_value + second_value - "
    with project.emacs("import os\n\n\n", at=(3, 0)) as screen:
        screen.send(typed)
        screen.wait_for_ghost(f"seen_{len('import os' + typed) + 2}")
        assert len(project.events("asked")) < len(typed)
        screen.save(f"import os\n\n{typed}\n")


def test_an_older_question_is_cancelled(project):
    with project.emacs("import os\n\nvalue =\n", "--delay-ms", "1500", at=(3, 7)) as screen:
        screen.send(" ")
        screen.wait(lambda _: project.events("asked"), "a question")
        screen.send("x")
        screen.wait(lambda _: project.events("cancelled"), "a cancelled question")
        screen.wait_for_ghost("seen_20")


def test_text_in_the_middle_of_a_line(project):
    with project.emacs("import os\n\nprint(os.path)\n", "--text", "os.getcwd(), ", at=(3, 5)) as screen:
        screen.send("(")  # a bracket before a bracket
        screen.send(BACKSPACE)
        screen.send("\x06")  # and now between print( and os
        screen.meta_x("quicksilver-complete")
        screen.wait_for_ghost("os.getcwd(),")
        assert "print(os.getcwd(), os.path)" in screen.text
        screen.wait(lambda screen: screen.cursor == (2, 6), "the cursor in front of the ghost text")
        picture(screen, "mid-line")
        screen.send(TAB)
        screen.save("import os\n\nprint(os.getcwd(), os.path)\n")


def test_a_dos_file_stays_one(project):
    text = "total = a + b\n    return total"
    with project.emacs("def add(a, b):\r\n   \r\n", "--text", text, at=(2, 3)) as screen:
        screen.send(" ")
        screen.wait_for_ghost("total = a + b\n    return total")
        assert "^M" not in screen.text
        screen.send(TAB)
        screen.save(b"def add(a, b):\r\n    total = a + b\r\n    return total\r\n")


def test_characters_beyond_the_basic_plane_before_the_cursor(project):
    line = 'mood = "\U0001f600\U0001f469\u200d\U0001f4bb"; value ='
    with project.emacs(f"# \U0001f680\n{line}\n", at=(2, 0)) as screen:
        screen.send("\x05 ")
        screen.wait_for_ghost(f"seen_{4 + len(line) + 1}")
        screen.send(TAB)
        screen.save(f"# \U0001f680\n{line} seen_{4 + len(line) + 1}\n")


def test_other_texts_by_hand(project):
    options = ["--text", "compute(1, 2)", "--other", "compare(one)", "--other", "combine()"]
    with project.emacs("import os\n\nvalue = \n", *options, at=(3, 8)) as screen:
        screen.meta_x("quicksilver-complete")
        screen.wait_for_ghost("compute(1, 2)")
        screen.send(f"{META}n")
        screen.wait_for_ghost("compare(one)")
        screen.send(f"{META}n")
        screen.wait_for_ghost("combine()")
        screen.send(f"{META}p")
        screen.wait_for_ghost("compare(one)")
        screen.send("com")
        screen.wait_for_ghost("pare(one)")
        screen.send("b")  # fits the third only
        screen.wait_for_ghost("ine()")
        screen.send(TAB)
        screen.save("import os\n\nvalue = combine()\n")


def test_commands_and_the_mode_line(project):
    with project.emacs("import os\n\nvalue =\n", "--text", "compute(1, 2)", at=(3, 7)) as screen:
        screen.send(" ")
        screen.wait_for_ghost("compute(1, 2)")
        screen.send(CTRL_RIGHT)
        screen.wait_for_ghost("(1, 2)")
        screen.send(TAB)
        screen.wait_for("value = compute(1, 2)")
        screen.meta_x("quicksilver-status")
        screen.wait_for("Shown 1, accepted 1, in part 1.")
        picture(screen, "status")
        screen.meta_x("quicksilver-toggle")
        screen.wait_for(" Qs:off")
        screen.send("\n")
        screen.meta_x("quicksilver-complete")
        screen.wait_for("nothing to write here")
        screen.meta_x("quicksilver-why")
        screen.wait_for("switched off")
        screen.meta_x("quicksilver-toggle")
        screen.wait_until_ready()
        screen.meta_x("quicksilver-snooze")
        screen.wait_for(" Qs:snoozed")
        screen.wait_for("snoozed until")
        screen.send("\x15" + "0")
        screen.meta_x("quicksilver-snooze")
        screen.wait_until_ready()
        screen.meta_x("quicksilver-restart-engine")
        screen.wait_for("Quicksilver is ready")
        screen.meta_x("quicksilver-log")
        screen.wait_for("record.jsonl")


def test_without_a_server_commands_say_so(project):
    with project.emacs("value =\n", server=["/nowhere/quicksilver"], at=(1, 7), ready=False) as screen:
        screen.wait_for(" Qs:none")
        screen.meta_x("quicksilver-complete")
        screen.wait_for("there is no program /nowhere/quicksilver")
        screen.send("x")
        screen.save("value =x\n")


def test_a_menu_of_completions_comes_first(project):
    if not has_library("company"):
        pytest.skip("this Emacs has no company (Debian: elpa-company)")
    company = """(require 'company)
      (setq company-idle-delay 0.2 company-minimum-prefix-length 1 company-backends '(company-dabbrev-code)
            company-dabbrev-code-everywhere t company-dabbrev-code-time-limit 5)
      (global-company-mode)"""
    content = "alpha_one = 1\nalpha_two = 2\nvalue =\n"
    with project.emacs(content, "--text", "pha_one + 1", at=(3, 7), more=company) as screen:
        screen.send(" al")
        screen.wait(lambda screen: "alpha_two" in screen.lines[4], "a menu below the cursor")
        screen.wait(lambda screen: not screen.ghost, "no ghost text beside the menu")
        picture(screen, "menu")
        screen.send(CTRL_G)
        screen.wait_for_ghost("pha_one + 1")
        screen.send(TAB)
        screen.save(content.replace("value =", "value = alpha_one + 1"))


def test_completing_at_point_comes_first(project):
    content = "alpha_one = 1\nalpha_two = 2\nvalue =\n"
    table = """(add-hook 'python-mode-hook (lambda () (setq-local completion-at-point-functions
      (list (lambda () (when-let ((symbol (bounds-of-thing-at-point 'symbol)))
                         (list (car symbol) (cdr symbol) '("alpha_one" "alpha_two"))))))))"""
    with project.emacs(content, "--text", "pha_one + 1", at=(3, 7), more=table) as screen:
        screen.send(" al")
        screen.wait_for_ghost("pha_one + 1")
        screen.send(f"{META}\t")
        screen.wait(lambda screen: screen.cursor == (2, 14), "what both have in common")
        screen.send(f"{META}\t")
        screen.wait_for("*Completions*")
        assert not screen.ghost
        screen.send("one +")  # what the menu holds, and then something else
        screen.wait_for_ghost(" 1")


def test_the_real_engine_killed_and_back(project):
    home = project.folder / "quicksilver"
    engine = EngineClient(find_home(None, {"QUICKSILVER_HOME": str(home)}))
    settings = "(setq quicksilver-settings '((min_confidence . 0) (budget_ms . 60000) (invoked_budget_ms . 60000)))"
    content = "import os\n\n\ndef size(path):\n    return os.path.getsize(path)\n\n\ndef exists(path):\n    return\n"
    around = {"QUICKSILVER_HOME": str(home), "OMP_NUM_THREADS": "2"}
    try:
        with project.emacs(
            content, server=server_command(), at=(9, 10), more=settings, env=around, ready=False
        ) as screen:
            screen.timeout_s = 120.0
            screen.wait_until_ready()
            screen.send(" os")
            offered = screen.wait(lambda screen: screen.ghost, "ghost text of the real model")
            picture(screen, "real")
            pid = asyncio.run(engine.health()).pid
            os.kill(pid, signal.SIGKILL)
            screen.send(TAB)
            screen.wait(lambda screen: screen.ghost != offered, "another ghost text, or none")
            screen.send("\n    ")
            screen.meta_x("quicksilver-complete")
            screen.wait(lambda screen: screen.ghost or "nothing to write here" in screen.text, "an answer")
            assert asyncio.run(engine.health()).pid != pid
            screen.wait_until_ready()
            assert "return os" + offered.partition("\n")[0] in screen.text
    finally:
        asyncio.run(engine.shutdown())


def test_eglot_instead_of_lsp_mode(project):
    if not has_library("eglot"):
        pytest.skip("this Emacs has no eglot (Emacs 29 or newer, or Debian's elpa-eglot)")
    eglot = """(require 'quicksilver-eglot) (quicksilver-eglot-register 'python-mode 'python-ts-mode)
      (setq quicksilver-start-lsp nil) (add-hook 'python-mode-hook #'eglot-ensure)"""
    content = "# \U0001f680\nmood = '\U0001f600'; value =\n"
    with project.emacs(content, "--text", "compute(1, 2)", at=(2, 0), more=eglot) as screen:
        screen.send("\x05 ")
        screen.wait_for_ghost("compute(1, 2)")
        screen.send("com")
        screen.wait_for_ghost("pute(1, 2)")
        screen.send(TAB)
        screen.save(content.replace("value =", "value = compute(1, 2)"))
        screen.meta_x("quicksilver-status")
        screen.wait_for("Shown 1, accepted 1")
        screen.meta_x("quicksilver-toggle")
        screen.wait_for(" Qs:off")


def test_settings_reach_the_server_at_once(project):
    with project.emacs("value =\n", "--text", "compute(1, 2)", at=(1, 7)) as screen:
        screen.send(" ")
        screen.wait_for_ghost("compute(1, 2)")
        screen.send(f"{CTRL_G}\x0b")
        screen.send(f"{META}:(setq quicksilver-settings '((enabled . :json-false)))\r")
        screen.meta_x("quicksilver-apply-settings")
        screen.wait_for(" Qs:off")


def test_asking_in_a_file_that_has_no_server_starts_one(project):
    with project.emacs("hello\n", "--text", "world", at=(1, 5), name="notes.txt", ready=False) as screen:
        screen.wait_for("(Text")
        screen.send(" ")
        screen.wait(lambda _: not project.events("asked"), "no question by itself")
        screen.meta_x("quicksilver-complete")
        screen.wait_for_ghost("world")
        screen.send(TAB)
        screen.save("hello world\n")


def test_nothing_is_shown_in_a_selection(project):
    with project.emacs("value =\n", "--text", "compute(1, 2)", at=(1, 7)) as screen:
        screen.send("\x00\x02\x02")  # a mark, and two characters back
        screen.meta_x("quicksilver-complete")
        screen.wait_for("shows nothing in a selection")
        assert project.events("asked") == []


def test_no_module_of_the_workspace_runs(project):
    marker = project.folder / "ran"
    for name in ("sitecustomize.py", "json.py"):
        (project.folder / "project" / name).write_text(f"open({str(marker)!r}, 'a').write({name!r})\n")
    with project.emacs("value =\n", "--text", "compute(1, 2)", at=(1, 7), env={"PYTHONPATH": ":"}) as screen:
        screen.send(" ")
        screen.wait_for_ghost("compute(1, 2)")
        assert not marker.exists()
        own = project.folder / "home" / ".emacs.d" / "quicksilver"
        assert (own.stat().st_mode & 0o777, list(own.iterdir())) == (0o700, [])
