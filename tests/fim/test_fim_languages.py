"""Every rule in languages other than Python, a few snippets for each: ‸ is the cursor."""

import pytest
from quicksilver.fim.cursor_class import class_at
from quicksilver.fim.gating import reason_for_silence
from quicksilver.fim.hole import find_hole
from quicksilver.fim.syntax.tree import Syntax, parse
from quicksilver.fim.text.document import Document
from quicksilver.fim.text.language_ids import language_id
from quicksilver.fim.text.line_scan import scan_line
from quicksilver.fim.trimming.context import TrimContext
from quicksilver.fim.trimming.trim import trim
from quicksilver.fim.types import Hole


def placed(language: str, marked: str) -> tuple[Document, int, Syntax | None, Hole]:
    text, offset = marked.replace("‸", ""), marked.index("‸")
    document = Document(uri="file:///home/ada/a", version=1, language=language, text=text)
    syntax = parse(text, language)
    return document, offset, syntax, find_hole(document, offset, syntax)


@pytest.mark.parametrize(
    ("language", "line", "openers", "code"),
    [
        ("rust", "fn f<'a>(x: &'a str) {", "{", None),
        ("rust", "let c = '{'; // it's (", "", "let c = '{'; "),
        ("c", "#include <a.h>", "", None),
        ("c", "char c = '\\''; f(", "(", None),
        ("cpp", "int n = 1'000'000; {", "{", None),
        ("java", 'String s = "//"; f(', "(", None),
        ("javascript", "f(`a (`, // don't {", "(", "f(`a (`, "),
        ("javascript", "a /* ( */ + (b /* { */", "(", None),
        ("go", 'x := `{"a": \'` + (', "(", None),
        ("shellscript", "echo $# ${#a} (", "(", None),
        ("shellscript", "a=1 # it's (", "", "a=1 "),
        ("ruby", 'puts "#{a} (" # {', "", 'puts "#{a} (" '),
        ("php", "#[Attribute(1)] function f(", "(", None),
        ("php", "f($a, # it's (", "(", "f($a, "),
        ("sql", "WHERE (a = '(' -- it's", "(", "WHERE (a = '(' "),
        ("css", "a::before { color: #fff; b: url(http://x)", "{", None),
        ("scss", "a { // it's (", "{", "a { "),
        ("scss", "b: url(http://x", "(", None),
        ("html", "<p>don't (", "(", None),
        ("yaml", "a: it's [", "[", None),
        ("yaml", "a: '[' # (", "", "a: '[' "),
        ("json", '{"a": "#{", "b": [', "{[", None),
        ("markdown", "# It's a (title", "(", None),
    ],
)
def test_a_line_is_read_as_its_language_writes_it(language: str, line: str, openers: str, code: str | None) -> None:
    scan = scan_line(line, "", language)
    assert (scan.openers, line[: scan.code_end]) == (openers, line if code is None else code)


@pytest.mark.parametrize(
    ("language", "lines", "inside"),
    [
        ("javascript", ["x = `a", "it's (", "b`;"], "`"),
        ("go", ["x := `a", "\\ it's (", "`"], "`"),
        ("kotlin", ['val x = """a', "it's (", '"""'], '"""'),
        ("java", ["/* a", " * it's (", " */"], "*/"),
        ("css", ["/* a", "it's {", "*/"], "*/"),
    ],
)
def test_strings_and_comments_of_several_lines(language: str, lines: list[str], inside: str) -> None:
    first, middle, last = lines
    assert scan_line(first, "", language).carried == inside
    between = scan_line(middle, inside, language)
    assert (between.carried, between.openers) == (inside, "")
    assert scan_line(last, inside, language).carried == ""


@pytest.mark.parametrize(
    ("language", "marked", "kind"),
    [
        ("javascript", "/* a\n * b ‸\n */\n", "comment"),
        ("go", "// it's ‸\n", "comment"),
        ("rust", "/// a ‸\nfn f() {}\n", "comment"),
        ("java", "/** a ‸ */\n", "comment"),
        ("c", "/* a ‸\n", "comment"),
        ("php", "<?php\n# a ‸\n", "comment"),
        ("shellscript", "# a ‸\n", "comment"),
        ("csharp", "/// <summary> a ‸\n", "comment"),
        ("ruby", "=begin\na ‸\n=end\n", "comment"),
        ("kotlin", "/* a ‸ */\n", "comment"),
        ("html", "<!-- a ‸ -->\n", "comment"),
        ("html", "<!-- a ‸\n", "comment"),
        ("css", "/* a ‸ */\n", "comment"),
        ("jsonc", "{ // a ‸\n}\n", "comment"),
        ("yaml", "a: 1 # b ‸\n", "comment"),
        ("csharp", 'var s = @"a ‸";', "string"),
        ("csharp", 'var s = $"a ‸ {b}";', "string"),
        ("kotlin", 'val s = """a ‸"""', "string"),
        ("ruby", "s = <<~EOS\n  a ‸\nEOS\n", "string"),
        ("ruby", "=begin\na\n=end\n‸\n", "blank-line"),
        ("yaml", "a: 'b ‸'", "string"),
        ("yaml", "a: |\n  b ‸\n", "string"),
        ("json", '{"a ‸": 1}\n', "string"),
        ("css", 'a::before { content: "‸" }', "string"),
        ("html", '<a class="b ‸">', "string"),
        ("yaml", "a: it's ‸\n", "code"),
        ("html", "<p>don't ‸</p>\n", "code"),
        ("shellscript", "echo $# ‸\n", "code"),
        ("ruby", "a.‸\n", "after-dot"),
        ("csharp", "a?.‸\n", "after-dot"),
        ("kotlin", "a::‸\n", "after-dot"),
        ("html", "<p>Yes.‸</p>\n", "code"),
    ],
)
def test_the_class_of_a_place(language: str, marked: str, kind: str) -> None:
    document, offset, syntax, _ = placed(language, marked)
    assert syntax is not None
    assert class_at(syntax, offset) == kind
    assert (reason_for_silence(document, offset, syntax=syntax) is not None) is (kind == "comment")


@pytest.mark.parametrize(
    ("language", "marked"), [("sql", "-- it's ‸\n"), ("scss", "// it's ‸\n"), ("less", "/* a ‸"), ("lua", "# ‸")]
)
def test_a_comment_without_a_grammar(language: str, marked: str) -> None:
    *_, hole = placed(language, marked)
    assert TrimContext(hole).literal == "comment"


@pytest.mark.parametrize(
    ("language", "marked"),
    [
        ("javascript", "x = `a ${‸}`;\n"), ("csharp", 'var s = $"a {‸}";\n'), ("kotlin", 'val s = "a ${‸}"\n'),
        ("ruby", 's = "a #{‸}"\n'), ("php", '<?php $a = "x {$‸}";\n'), ("shellscript", 'a="${‸}"\n'),
    ],
)  # fmt: skip
def test_a_field_of_a_string_is_code(language: str, marked: str) -> None:
    _, _, syntax, hole = placed(language, marked)
    assert TrimContext(hole, syntax).literal is None


@pytest.mark.parametrize(
    ("language", "marked", "closer"),
    [
        ("javascript", "const f = (a) => {\n  ‸\n};\n", "}"),
        ("javascript", "switch (a) {\n  case 1:\n    ‸\n}\n", ""),
        ("javascriptreact", "const a = (\n  <ul>\n    ‸\n  </ul>\n);\n", "</ul"),
        ("javascriptreact", "const a = <div>\n  ‸\n", "</div"),
        ("typescript", "interface A {\n  ‸\n}\n", "}"),
        ("go", "if err != nil {\n\t‸\n}\n", "}"),
        ("rust", "impl<'a> A<'a> {\n    ‸\n}\n", "}"),
        ("rust", "let x = match y {\n    ‸\n};\n", "}"),
        ("java", "list.forEach(x -> {\n    ‸\n});\n", "}"),
        ("c", "for (int i = 0; i < 3; i++) {\n    ‸\n", "}"),
        ("cpp", "class A {\n public:\n  ‸\n};\n", ""),
        ("php", "<?php\nforeach ($a as $b) {\n    ‸\n", "}"),
        ("shellscript", "if a; then\n  ‸\nfi\n", "fi"),
        ("shellscript", "while read -r x\ndo\n  ‸\ndone\n", "done"),
        ("shellscript", "case $a in\n  ‸\nesac\n", "esac"),
        ("csharp", "class A\n{\n    ‸\n}\n", "}"),
        ("ruby", "def f(a)\n  ‸\nend\n", "end"),
        ("ruby", "def f(a)\n  ‸\n", "end"),
        ("ruby", "items.each do |x|\n  ‸\nend\n", "end"),
        ("ruby", "x = a.map { |y|\n  ‸\n}\n", "}"),
        ("ruby", "case a\nwhen 1\n  ‸\nend\n", "end"),
        ("kotlin", "xs.map { x ->\n    ‸\n}\n", "}"),
        ("html", "<ul>\n  ‸\n</ul>\n", "</ul"),
        ("html", '<div\n  class="a">\n  ‸\n', "</div"),
        ("html", "<script>\n  function f() {\n    ‸\n  }\n</script>\n", "}"),
        ("css", "@media print {\n  ‸\n}\n", "}"),
        ("scss", ".a {\n  &:hover {\n    ‸\n  }\n}\n", "}"),
        ("json", "{\n  ‸\n}\n", "}"),
        ("yaml", "a:\n  - b:\n      ‸\n", ""),
        ("sql", "CREATE TABLE a (\n  ‸\n);\n", ")"),
    ],
)
def test_an_empty_block_may_have_several_lines(language: str, marked: str, closer: str) -> None:
    _, _, syntax, hole = placed(language, marked)
    opener = TrimContext(hole, syntax).opener
    assert hole.multiline
    assert opener is not None and opener.closer == closer


@pytest.mark.parametrize(
    ("language", "marked"),
    [
        ("javascript", "// it's {\n‸\n"),
        ("javascript", "if (a) {\n  ‸\n  b();\n}\n"),
        ("c", "char c = '{';\n‸\n"),
        ("ruby", "return x if a\n‸\n"),
        ("ruby", "def f(x) = x + 1\n‸\n"),
        ("ruby", "# if a\n‸\n"),
        ("ruby", 'puts "def f"\n‸\n'),
        ("ruby", "if a then b end\n‸\n"),
        ("ruby", "def f\n  ‸\n  ending = 1\nend\n"),
        ("shellscript", "echo done\n‸\n"),
        ("shellscript", 'echo "a then\n‸\n'),
        ("html", "<br>\n‸\n"),
        ("html", "<p>a</p>\n‸\n"),
        ("html", "<!-- <ul>\n‸ -->\n"),
        ("css", "/* a {\n‸ */\n"),
        ("scss", "// a {\n‸\n"),
        ("yaml", "a: b\n‸\n"),
        ("yaml", "# a:\n‸\n"),
        ("json", '{"a": ‸}\n'),
        ("markdown", "# It's a title:\n\n‸\n"),
    ],
)
def test_no_block_was_opened(language: str, marked: str) -> None:
    assert not placed(language, marked)[3].multiline


TRIMS = [
    ("javascript", "function f(a) {\n  ‸\n", "return a;\n}\n\nfunction g() {}", "return a;\n}"),
    ("javascript", "if (a) {\n  ‸\n}\nb();\n", "return 1;\n} else {\n  return 2;\n}\nb();", "return 1;"),
    ("javascript", "const x = ‸;\n", "foo(a);", "foo(a)"),
    ("javascript", "p.then(‸)\n", "x => x + 1, x => 2", "x => x + 1, x => 2"),
    ("javascript", "// it's (\nfoo(‸);\n", "bar(a)", "bar(a)"),
    ("typescript", "const a = { b: 1, ‸ };\n", "b: 2", ""),
    ("javascriptreact", "a = (\n  <ul>\n    ‸\n  </ul>\n);\n", "<li>b</li>\n  </ul>\n);", "<li>b</li>"),
    ("go", "func f() {\n\t‸\n}\n", "if a {\n        b()\n    }", "if a {\n\t\tb()\n\t}"),
    ("rust", "fn f<'a>(x: &'a str, ‸) {}\n", "y: &'a str", "y: &'a str"),
    ("rust", "let x = match a {\n    ‸\n};\n", "Some(b) => b,\n    _ => 'x',\n};\nx", "Some(b) => b,\n    _ => 'x',"),
    ("java", "class A {\n    int f() {\n        ‸\n    }\n}\n", "return 1;\n    }\n\n    int g() {}", "return 1;"),
    ("c", "int f(int a) {\n    ‸\n}\n", "return a; // it's\n}\nint g(void) {}", "return a; // it's"),
    ("cpp", "class A {\n public:\n  ‸\n};\n", "int b();\n\n private:\n  int c;\n};", "int b();\n\n private:\n  int c;"),
    ("php", "<?php\nfunction f($a) {\n    ‸\n}\n", "return $a;\n}\n\nfunction g() {}", "return $a;"),
    ("shellscript", "if a; then\n  ‸\n", "b\nfi\nc", "b\nfi"),
    ("shellscript", "if a; then\n  b\n  ‸\nfi\n", "c\nfi", "c"),
    ("shellscript", "if a; then\n  ‸\nfi\n", "b\nelse\n  c\nfi", "b"),
    ("csharp", "int F(int a)\n{\n    ‸\n}\n", "return a + 1;\n}\n\nint G() {}", "return a + 1;"),
    ("csharp", "var x = ‸\n", "xs.Where(x => x > 1).Select(x => x);", "xs.Where(x => x > 1).Select(x => x);"),
    ("ruby", "def f(a)\n  ‸\n", "a + 1\nend\n\ndef g\n  1\nend", "a + 1\nend"),
    ("ruby", "def f(a)\n  ‸\nend\n", "a.each do |x|\n    p x\n  end\nend\n\nf(1)", "a.each do |x|\n    p x\n  end"),
    ("ruby", "def f(a)\n  if a\n    ‸\n  end\nend\n", "1\n  else\n    2\n  end\nend", "1"),
    ("kotlin", "fun f(a: Int): Int {\n    ‸\n}\n", "return a + 1\n}\n\nfun g() {}", "return a + 1"),
    ("html", "<ul>\n  ‸\n", "<li>a</li>\n</ul>\n<p>c</p>", "<li>a</li>\n</ul>"),
    ("html", "<ul>\n  <li>a</li>\n  ‸\n</ul>\n", "<li>b</li>\n</ul>", "<li>b</li>"),
    ("html", "<p>a</p>\n‸\n", "    <p>it's</p>", "    <p>it's</p>"),
    ("css", "a {\n  ‸\n}\n", "color: red;\n  margin: 0;\n}\n\nb {", "color: red;\n  margin: 0;"),
    ("json", '{\n  ‸\n}\n', '"a": 1,\n  "b": {\n    "c": 2\n  }\n}\n', '"a": 1,\n  "b": {\n    "c": 2\n  }'),
    ("json", '{\n  "a": 1,\n  ‸\n}\n', '"a": 2', ""),
    ("yaml", "a:\n  ‸\n", "b: 1\n  c:\n    - d\ne: 2", "b: 1\n  c:\n    - d"),
    ("yaml", "a: [1]\nb: it's\n‸\n", "c: don't", "c: don't"),
    ("sql", "SELECT\n‸\nFROM b\n", "    a, -- it's", "    a, -- it's"),
    ("sql", "CREATE TABLE a (\n  ‸\n);\n", "id INT,\n  b TEXT\n);\nINSERT", "id INT,\n  b TEXT"),
    ("markdown", "- a\n‸\n", "  - b", "  - b"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "marked", "text", "expect"), TRIMS)
def test_what_may_be_inserted(language: str, marked: str, text: str, expect: str) -> None:
    _, _, syntax, hole = placed(language, marked)
    assert trim(hole, text, "\n", syntax) == expect
    assert trim(hole, expect, "\n", syntax) == expect


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("sh", "shellscript"),
        ("cs", "csharp"),
        ("C++", "cpp"),
        ("javascript.jsx", "javascriptreact"),
        ("yaml.ansible", "yaml"),
        ("python", "python"),
        ("git-commit", "git-commit"),
        ("", ""),
        (".x", ".x"),
    ],
)
def test_editors_call_a_language_by_several_names(name: str, known: str) -> None:
    assert language_id(name) == known
