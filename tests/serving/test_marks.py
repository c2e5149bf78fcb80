"""Infilling marks in prompts: every family there and back, and texts that spell marks are not cut."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from quicksilver.fim.types import MAX_SNIPPET_CHARS
from quicksilver.serving.api.marks import CODESTRAL, FAMILIES, ContextFile, read_marks, split_prompt
from quicksilver.serving.elsewhere import marks as elsewhere

BY_NAME = {family.name: family for family in (*FAMILIES, CODESTRAL)}
MARKS = [mark for family in BY_NAME.values() for mark in (family.prefix, family.suffix, family.middle) if mark]
# As clients write them: prefix first, suffix first, and CodeLlama's with its blanks.
FORMS = {
    **{f"{f.name}, prefix first": (f, f.prefix + "{P}" + f.suffix + "{S}" + f.middle) for f in FAMILIES},
    **{
        f"{f.name}, suffix first": (f, f.suffix + "{S}" + f.prefix + "{P}" + f.middle)
        for f in FAMILIES
        if not f.has_blanks
    },
    "codellama, prefix first": (BY_NAME["codellama"], "<PRE> {P} <SUF>{S} <MID>"),
    "codestral": (CODESTRAL, "[SUFFIX]{S}[PREFIX]{P}"),
    "glm, closed": (BY_NAME["glm"], "<|code_suffix|>{S}<|code_prefix|>{P}<|code_middle|><|assistant|>\n"),
}
plain = st.text(st.sampled_from("ab <|>\n_{}[]#+é\ud800"), max_size=12).filter(
    lambda text: not any(mark in text for mark in MARKS) and not text.startswith("+++++ ")
)
spelled = st.lists(st.one_of(st.sampled_from(MARKS), st.sampled_from("a \n")), max_size=8).map("".join)


def written(form: str, prefix: str, suffix: str) -> str:
    return FORMS[form][1].replace("{S}", "\0").replace("{P}", prefix).replace("\0", suffix)


def read(prompt):
    found = read_marks(prompt)
    return None if found is None else (found.prefix, found.suffix)


@pytest.mark.parametrize("form", FORMS)
@given(prefix=plain, suffix=plain)
@example("", "").via("empty texts")
@example(" a", " b").via("leading blanks")
@example("a ", "b ").via("trailing blanks")
def test_there_and_back(form, prefix, suffix):
    found = read_marks(written(form, prefix, suffix))
    assert found is not None and (found.prefix, found.suffix) == (prefix, suffix)
    assert (found.family, found.path, found.files) == (FORMS[form][0].name, "", ())


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=60)
@given(prefix=spelled, suffix=spelled)
def test_nothing_is_lost_of_texts_that_spell_marks(form, prefix, suffix):
    family, prompt = FORMS[form][0], written(form, prefix, suffix)
    found = read_marks(prompt)
    assert found is not None and found.family == family.name and found.files == ()
    assert found.prefix in prompt and found.suffix in prompt
    kept, given = sorted(found.prefix + found.suffix), sorted(prefix + suffix)
    if family.has_blanks:  # which belong to marks
        kept, given = [each for each in kept if each != " "], [each for each in given if each != " "]
    assert kept == given


@pytest.mark.parametrize("form", [form for form in FORMS if form != "codestral"])
def test_texts_that_spell_all_marks_of_their_own_family_are_not_cut(form):
    family = FORMS[form][0]
    table = f'PREFIX = "{family.prefix}"\nSUFFIX = "{family.suffix}"\nMIDDLE = "{family.middle}"\n'
    if "suffix first" in form or "closed" in form:
        table = "\n".join(reversed(table.splitlines()))
    assert read(written(form, table, "b")) == (table, "b")
    assert read(written(form, "a", table)) == ("a", table)


@pytest.mark.parametrize("form", FORMS)
def test_marks_of_another_family_are_text(form):
    family = FORMS[form][0]
    for other in FAMILIES:
        if other is not family:
            table = f"{other.prefix}x{other.suffix}y{other.middle}"
            assert read(written(form, table, "b")) == (table, "b")
            assert read(written(form, "a", table)) == ("a", table)
            assert read(written(form, table, table)) == (table, table)


@pytest.mark.parametrize(
    "prompt",
    [
        "", "def f():\n", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_prefix|>a<|fim_suffix|>b",
        "a<|fim_suffix|>b<|fim_middle|>", "<|fim_prefix|>a<|fim_middle|>",
        "<|fim_middle|>a<|fim_suffix|>b<|fim_prefix|>", "<|fim_prefix|>a<fim_suffix>b<fim_middle>",
        "<|fim_prefix|>a<|fim_middle|>b<|fim_suffix|>", "[SUFFIX]a", "[PREFIX]a[SUFFIX]b", "x[SUFFIX]a[PREFIX]b",
    ],
)  # fmt: skip
def test_some_marks_or_an_odd_order_are_text(prompt):
    assert read_marks(prompt) is None
    assert split_prompt(prompt).prefix == prompt


def test_a_file_that_spells_all_marks_is_text():
    file = 'MARKS = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")\n\ndef f():\n'
    assert read_marks(file) is None
    assert read("<|fim_prefix|>" + file + "<|fim_suffix|>\n<|fim_middle|>") == (file, "\n")


def test_marks_twice():
    once = "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    assert read(once + once) == ("a", f"b<|fim_middle|>{once.removesuffix('<|fim_middle|>')}")
    assert read("<|fim_prefix|>" + once) == ("<|fim_prefix|>a", "b")


def test_what_follows_the_middle_mark_was_begun_already():
    assert read("<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>c = ") == ("ac = ", "b")
    assert read("<fim_prefix><fim_suffix>b<fim_middle>a") == ("a", "b")  # suffix first, as StarCoder was taught it
    assert read("<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>\n") == ("a", "b")  # a template's end
    assert read("<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>\n\n") == ("a\n\n", "b")


@pytest.mark.parametrize(
    ("lead", "path", "files"),
    [
        ("<|repo_name|>r\n<|file_sep|>a.py\nx = 1\n<|file_sep|>src/b.py\n", "src/b.py", [("a.py", "x = 1")]),
        ("<|file_sep|>a.py\nx = 1\n\n<|file_sep|>b.py\ny = 2\n", "", [("a.py", "x = 1"), ("b.py", "y = 2")]),
        ("<|repo_name|>r\n", "", []),
        ("<|file_separator|>a.rs\nlet x = 1;\n<|file_separator|>b.rs\n", "b.rs", [("a.rs", "let x = 1;")]),
        ("<repo_name>r\n<file_sep>a.go\nx\n<file_sep>b.go\n", "b.go", [("a.go", "x")]),
        ("<file_sep>def f():\n    pass<file_sep>", "", [("", "def f():\n    pass")]),
        ("<reponame>r<filename>a.kt\nx\n<filename>b.kt\n", "b.kt", [("a.kt", "x")]),
        ("<filename>a.kt\nx<filename>b.kt\n", "b.kt", [("a.kt", "x")]),
        ("Context:\n\nx = 1\ny = 2\n", "", [("", "x = 1\ny = 2")]),
        ("import a\n", "", [("", "import a")]),
        ("<s>", "", []),
        ("\n", "", []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["qwen, prefix first", "starcoder, suffix first"])
def test_what_stands_before_the_marks(form, lead, path, files):
    found = read_marks(lead + written(form, "a", "b"))
    assert found is not None and (found.prefix, found.suffix) == ("a", "b")
    assert found.path == path and [(file.name, file.text) for file in found.files] == files


def test_codestral_s_headers():
    found = read_marks("[SUFFIX]s[PREFIX]+++++ a.py \nx = 1\n\n\n+++++ b/c.py\nimport a\n\nx")
    assert found is not None
    assert (found.prefix, found.suffix, found.path) == ("import a\n\nx", "s", "b/c.py")
    assert found.files == (ContextFile(name="a.py", text="x = 1"),)
    assert found.snippets == ("# a.py\nx = 1",) and found.names == ("a.py",)


def test_codegeex_s_references():
    prompt = (
        "<|user|>\n###REFERENCE:\n###PATH:a.ts\nconst x = 1\n###REFERENCE:\n###PATH:b.ts\nlet y\n\n"
        "###PATH:src/c.ts\n###LANGUAGE:Typescript\n###MODE:BLOCK\n"
        "<|code_suffix|>s<|code_prefix|>p<|code_middle|><|assistant|>\n"
    )
    found = read_marks(prompt)
    assert found is not None and (found.prefix, found.suffix, found.path) == ("p", "s", "src/c.ts")
    assert found.snippets == ("// a.ts\nconst x = 1", "// b.ts\nlet y")


def test_a_suffix_or_the_switch_makes_marks_text():
    prompt = "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    assert split_prompt(prompt).suffix == "b"
    assert split_prompt(prompt, "").prefix == split_prompt(prompt, infilling_marks=False).prefix == prompt
    assert split_prompt(prompt, "c").suffix == "c"
    assert split_prompt("a", "<|endoftext|>").suffix == ""


def test_long_texts_become_snippets_of_whole_lines():
    found = read_marks("Context:\n\n" + "x = 1\n" * 9_999 + "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>")
    assert found is not None and len(found.snippets) > 3
    assert all(len(piece) <= MAX_SNIPPET_CHARS and piece.startswith("x") for piece in found.snippets)


@pytest.mark.parametrize(
    "unit", ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_prefix|><|fim_suffix|>", "<|file_sep|>", "+++++ \n\n"]
)
@pytest.mark.parametrize("form", ["qwen, prefix first", "codestral"])
def test_hostile_prompts_are_read_in_linear_time(unit, form):
    text = unit * 50_000
    start_s = time.perf_counter()
    assert read_marks(written(form, text, text)) is not None
    assert time.perf_counter() - start_s < 5


@pytest.mark.parametrize("family", sorted(elsewhere.FAMILIES))
def test_what_we_write_for_servers_elsewhere_is_read(family):
    found = read_marks(elsewhere.FAMILIES[family].prompt("def f():\n    ", "\n\nx = 1\n"))
    assert found is not None and (found.prefix, found.suffix) == ("def f():\n    ", "\n\nx = 1\n")
