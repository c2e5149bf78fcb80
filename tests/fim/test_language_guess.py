"""The language of a text that nobody named: by path, by its first lines, by the shapes of its lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.text.language_guess import guess_language, language_of_path


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a.py", "python"), ("src/App.TSX", "typescriptreact"), ("C:\\x\\y.cs", "csharp"), ("a.b.yml", "yaml"),
        ("Gemfile", "ruby"), ("a", None), ("", None), ("a.unknown", None), (".py", None), ("\ud800.rs", "rust"),
    ],
)  # fmt: skip
def test_a_path_tells(path, language):
    assert language_of_path(path) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("#!/usr/bin/env python3\nx", "python"), ("#!/bin/sh\nx", "shellscript"), ("#!/usr/bin/node\nx", "javascript"),
        ("<?php\nx", "php"), ("<html>\n<?php", "php"),
        ("# Path: x.py\n", "python"), ("// file: src/a.ts\nlet x", "typescript"), ("/* a.css */\n", "css"),
        ("<!-- index.html -->\n", "html"), ("-- query.sql\n", "sql"), ("// a/b.go\npackage a\n", "go"),
        ("# language: rust\n# indentation: use 4 spaces for a tab\n", "rust"), ("-- language: sql\n\n", "sql"),
        ("/* language: cpp */\n", "cpp"), ("# -*- mode: ruby -*-\n", "ruby"),
    ],
)  # fmt: skip
def test_the_first_lines_tell(text, language):
    assert guess_language(text) == language


TEXTS = {
    "python": ("class A(B):\n    def f(self, x: int) -> int:\n        if x is None:\n            return self.y\n"),
    "javascript": (
        "const a = require('a');\nmodule.exports = function (b) {\n  if (a === b) {\n    return 1;\n  }\n};\n"
    ),
    "typescript": (
        "interface A {\n  name: string;\n}\nexport const f = (a: A): Promise<void> => {\n  return g(a);\n};\n"
    ),
    "typescriptreact": (
        "export function F({ a }: { a: string }) {\n  return (\n    <div className={a}>\n"
        "      <B />\n    </div>\n  );\n}\n"
    ),
    "go": ("package main\n\nfunc (s *S) F(a int) error {\n\tx, err := g(a)\n\tif err != nil {\n\t\treturn err\n\t}\n"),
    "rust": (
        "pub fn f(a: &mut A) -> Option<B> {\n    let mut x = a.b()?;\n    match x {\n        Some(y) => y.unwrap(),\n"
    ),
    "java": (
        "package a.b;\n\npublic class A {\n    private final int x;\n\n"
        "    public int getX() {\n        return x;\n    }\n"
    ),
    "c": (
        "#include <stdio.h>\n\nstatic int f(char *a, size_t n)\n{\n    if (a == NULL)\n"
        "        return -1;\n    a->b = 1;\n"
    ),
    "cpp": (
        "#include <vector>\n\nnamespace a {\ntemplate <typename T>\nclass B {\n public:\n  std::vector<T> f() const;\n"
    ),
    "php": ("$a = new B();\nforeach ($a->items as $item) {\n    echo $item->name;\n}\npublic function f($x)\n{\n"),
    "shellscript": 'set -e\nif [ -z "$A" ]; then\n  echo "no"\n  exit 1\nfi\nfor x in a b; do\n',
    "csharp": (
        "using System;\n\nnamespace A\n{\n    public class B\n    {\n        public string Name { get; set; }\n"
    ),
    "ruby": ("require 'a'\n\nmodule A\n  class B < C\n    attr_reader :d\n\n    def f(x)\n      x.each do |y|\n"),
    "kotlin": ("package a.b\n\ndata class A(val b: Int)\n\nfun f(a: A): Int? {\n    val x = a.b\n    return x\n}\n"),
    "sql": "SELECT a, b\nFROM t\nLEFT JOIN u ON u.id = t.id\nWHERE a > 1\nGROUP BY b;\n",
    "html": '<!DOCTYPE html>\n<html>\n<head>\n  <title>a</title>\n</head>\n<body>\n  <div class="a">\n',
    "css": ".a {\n  color: red;\n  margin-top: 1px;\n}\n\n@media print {\n  .b { display: none; }\n",
    "scss": "$a: red;\n\n.b {\n  color: $a;\n  &:hover {\n    @include c;\n  }\n",
    "json": '{\n  "a": 1,\n  "b": [\n    "c",\n    true\n  ],\n  "d": {\n',
    "yaml": ("on:\n  push:\n    branches: [main]\njobs:\n  a:\n    runs-on: ubuntu\n    steps:\n      - uses: b\n"),
    "markdown": "# A\n\nThis is a text of some words, for people.\n\n## B\n\n- one\n- two\n\n```sh\n",
}


@pytest.mark.parametrize("language", TEXTS)
def test_the_lines_tell(language):
    assert guess_language(TEXTS[language]) == language
    assert guess_language("", "\n" + TEXTS[language]) == language


@pytest.mark.parametrize("text", ["", "\n \n", "x", "foo bar", "x = 1", "}\n}\n", "# a\n"])
def test_too_little_tells_nothing(text):
    assert guess_language(text) is None


def test_other_files_help_where_the_text_says_little():
    assert guess_language("x = 1\n", names=("a.rb", "b.rb", "c.py")) == "ruby"
    assert guess_language(TEXTS["go"], names=("README.md",)) == "go"
    assert guess_language(TEXTS["javascript"], names=("a.ts",)) == "typescript"
    assert guess_language("", names=("a", "")) is None


@given(st.text(), st.text())
def test_any_text_may_come(prefix, suffix):
    guess_language(prefix, suffix, path=suffix, names=(prefix,))
