"""Our Emacs client as a package: what Emacs' own tools say of it."""

import pytest
from emacs_screen import CLIENT, has_library, lisp_string, run_batch, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


def test_the_client_compiles_without_a_warning(tmp_path):
    files = [file for file in sorted(CLIENT.glob("*.el")) if "eglot" not in file.stem or has_library("eglot")]
    compiled = f'(concat {lisp_string(str(tmp_path))} "/" (file-name-nondirectory file) "c")'
    forms = [
        "(package-initialize)",
        "(setq byte-compile-error-on-warn t)",
        f"(setq byte-compile-dest-file-function (lambda (file) {compiled}))",
    ]
    options = [word for form in forms for word in ("--eval", form)]
    done = run_batch("-L", str(CLIENT), *options, "-f", "batch-byte-compile", *map(str, files))
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.elc"))) == len(files)


def test_checkdoc_has_nothing_to_say():
    files = " ".join(lisp_string(str(file)) for file in sorted(CLIENT.glob("*.el")))
    done = run_batch("--eval", f"(dolist (file (list {files})) (checkdoc-file file))")
    assert "Warning" not in done.stderr, done.stderr


def test_every_file_says_whose_it_is():
    for file in CLIENT.glob("*.el"):
        text = file.read_text(encoding="utf-8")
        assert text.startswith(f";;; {file.name} --- ")
        assert "lexical-binding: t" in text.splitlines()[0]
        assert "SPDX-License-Identifier: Apache-2.0" in text
        assert text.endswith(f"(provide '{file.stem})\n;;; {file.name} ends here\n")


@pytest.mark.parametrize(("model", "expected"), [("~/nano", "/home/ada/nano"), ("nano", "nano")])
def test_the_model_is_part_of_the_command(model, expected):
    form = f"""(progn (setenv "HOME" "/home/ada") (require 'quicksilver-server)
      (setq quicksilver-model {lisp_string(model)}) (princ (quicksilver-server-command)))"""
    done = run_batch("-L", str(CLIENT), "--eval", form)
    assert done.stdout == f"(quicksilver lsp --model {expected})"


def test_no_file_or_folder_can_name_what_runs():
    names = ("quicksilver-model", "quicksilver-command")
    checks = " ".join(f"(and (risky-local-variable-p '{name}) t)" for name in names)
    done = run_batch("-L", str(CLIENT), "--eval", f"(progn (require 'quicksilver-server) (princ (list {checks})))")
    assert done.stdout == "(t t)"
