"""Which files of a workspace are found and read: ignore files (git is the oracle), secrets, links, caps."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from quicksilver.fim.workspace.files import (
    SourceFile,
    WalkLimits,
    is_indexable,
    read_source,
    real_root,
    stamp_of,
    walk,
)
from quicksilver.fim.workspace.ignore_rules import IgnoreRules


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def found(root, exclude=(), limits=None):
    return {file.path for folder in walk(str(root), exclude, limits) for file, _ in folder}


def test_source_files_are_found_and_nothing_else(tmp_path):
    write(
        tmp_path,
        dict.fromkeys(
            [
                "a.py", "deep/er/b.ts", "c.txt", "d", ".hidden.py", ".config/e.py", "node_modules/f.js", "build/g.py",
                "__pycache__/h.py", "env/pyvenv.cfg", "env/lib/i.py", "sub/.venv/j.py", "Photo.PNG", "K.PY",
            ],
            "x = 1\n",
        ),
    )  # fmt: skip
    assert found(tmp_path) == {"a.py", "deep/er/b.ts", "K.PY"}


SECRETS = (
    ".env.py", "production.env.py/../.env.py", "credentials.py", "credentials_test.js", "id_rsa.py", "secrets.yml",
    ".aws/a.py", "deep/.ssh/b.py", "server.key", "id_ed25519.sh", ".env/c.py",
)  # fmt: skip


def test_secret_names_are_never_found_nor_welcome(tmp_path):
    for name in SECRETS:
        write(tmp_path, {name: "MARKER = 1\n"})
        assert not is_indexable(SourceFile(str(tmp_path), name))
    write(tmp_path, {"plain.py": "x = 1\n"})
    assert found(tmp_path) == {"plain.py"}


def test_ignore_files_hold_at_every_level(tmp_path):
    write(
        tmp_path,
        {
            ".gitignore": "gen/*\n!gen/keep.py\n*_pb2.py\n/top.py\n",
            "sub/.gitignore": "!wanted_pb2.py\nlocal.py\n",
            ".ignore": "scratch/\n",
            **dict.fromkeys(
                [
                    "gen/a.py", "gen/keep.py", "x_pb2.py", "top.py", "sub/top.py", "sub/wanted_pb2.py", "sub/local.py",
                    "sub/x_pb2.py", "local.py", "scratch/b.py", "c.py",
                ],
                "x = 1\n",
            ),
        },
    )  # fmt: skip
    expected = {"gen/keep.py", "sub/top.py", "sub/wanted_pb2.py", "local.py", "c.py"}
    assert found(tmp_path) == expected
    everything = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.py")]
    assert {name for name in everything if is_indexable(SourceFile(str(tmp_path), name))} == expected


def test_exclude_wins_over_negation(tmp_path):
    write(tmp_path, {".gitignore": "!a.py\n", "a.py": "x", "b.py": "x", "legacy/c.py": "x"})
    assert found(tmp_path, ("a.py", "legacy/**")) == {"b.py"}
    assert not is_indexable(SourceFile(str(tmp_path), "a.py"), ("a.py",))


def test_ignore_files_above_the_root_hold_as_far_as_the_repository_goes(tmp_path):
    write(tmp_path, {".gitignore": "a.py\n", "repo/.gitignore": "app/gen.py\n", "repo/.git/info/exclude": "mine.py\n"})
    write(tmp_path, dict.fromkeys(["repo/app/a.py", "repo/app/gen.py", "repo/app/mine.py"], "x"))
    assert found(tmp_path / "repo" / "app") == {"a.py"}


PARTS = st.sampled_from(["a", "b", "c", "*", "a*", "?", "**", "[ab]", "b.py", "*.py", "[!a]*", "a**", "\\a", "*.*y"])
PATTERNS = st.builds(
    lambda negated, rooted, parts, folder: ("!" * negated) + ("/" * rooted) + "/".join(parts) + ("/" * folder),
    st.booleans(), st.booleans(), st.lists(PARTS, min_size=1, max_size=5), st.booleans(),
)  # fmt: skip
FOLDERS = ("", "a/", "b/", "a/b/", "a/b/c/", "c/a/")


def assert_as_git(ignores):
    """A walk finds what git lists, with these patterns in ignore files of these folders."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root, {f"{place}{name}.py": "x" for place in FOLDERS for name in "abc"})
        write(root, {f"{place}.gitignore": "\n".join(patterns) + "\n" for place, patterns in ignores.items()})
        environ = {"PATH": os.environ["PATH"], "HOME": folder, "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", "init", "-q", folder], check=True, env=environ)
        command = ["git", "-C", folder, "ls-files", "-o", "--exclude-standard", "-z", "--", "*.py"]
        listed = subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout
        assert found(root) == {name for name in listed.split("\0") if name}


@pytest.mark.skipif(shutil.which("git") is None, reason="git is the oracle")
@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(FOLDERS), st.lists(PATTERNS, max_size=4), max_size=3))
@example({"": ["b", "!/a**"]})
@example({"": ["a**/b", "?**/a", "***"], "c/a/": ["!a***"]})
@example({"": ["**/a/**/b/**/c/**"]})
@example({"": ["a**/**/"]})
@example({"": ["a**/**/**", "b**/**/a"], "c/": ["a**/**"]})
@example({"": ["**/a/**/c/**/b.py", "a/**/**/a.py", "**/b/**/**"]})
def test_ignore_files_mean_what_git_says(ignores):
    assert_as_git(ignores)


PATTERN_TEXTS = st.text(alphabet="ab*?[]!-\\.^:c", min_size=1, max_size=7)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is the oracle")
@settings(max_examples=20, deadline=None)
@given(st.lists(PATTERN_TEXTS, min_size=1, max_size=4))
def test_odd_patterns_mean_what_git_says(patterns):
    assert_as_git({"": patterns})


@settings(deadline=2_000)
@given(st.text(alphabet="a*?[]!b/", max_size=200))
def test_no_pattern_takes_long(pattern):
    rules = IgnoreRules.above("/nowhere").with_file("/nowhere", pattern.encode())
    rules.ignores("/nowhere/" + "/".join(["a" * 250] * 16), is_folder=False)


@pytest.mark.parametrize(
    "pattern", ["a/**/a/**/a/**/b", "a/**/" * 60 + "b", "**/a" * 60 + "/b", "a**/" + "a/**/" * 60 + "?", "**/a/**"]
)
def test_double_stars_do_not_go_back_over_deep_folders(pattern):
    """a/**/a/**/a/**/b over 1,500 folders took minutes."""
    rules = IgnoreRules.above("/nowhere").with_file("/nowhere", pattern.encode())
    started_s = time.perf_counter()
    for _ in range(20):
        rules.ignores("/nowhere/" + "a/" * 1_500 + "x.py", is_folder=False)
    assert time.perf_counter() - started_s < 5


def test_too_much_to_match_takes_everything_out():
    for text in (
        b"#" * (IgnoreRules.MAX_BYTES + 1),
        b"".join(b"a%d.py\n" % number for number in range(IgnoreRules.MAX_PATTERNS + 1)),
        b"a" * 1_001,
    ):
        rules = IgnoreRules.above("/nowhere").with_file("/nowhere", text)
        assert rules.ignores("/nowhere/x.py", is_folder=False)


def test_folders_that_are_very_deep_are_not_walked(tmp_path):
    write(tmp_path, {f"{'a/' * 64}in.py": "x", f"{'a/' * 65}out.py": "x"})
    assert found(tmp_path) == {f"{'a/' * 64}in.py"}
    assert is_indexable(SourceFile(str(tmp_path), f"{'a/' * 64}in.py"))
    assert not is_indexable(SourceFile(str(tmp_path), f"{'a/' * 65}out.py"))


def test_a_large_folder_is_read_a_part_at_a_time(tmp_path):
    write(tmp_path, {f"f{number}.py": "x" for number in range(1_200)})
    assert [len(part) for part in walk(str(tmp_path))] == [500, 500, 200]


NOT_REGULAR = {
    "fifo": os.mkfifo,
    "link to a pipe": lambda path: path.symlink_to("/dev/stdin"),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to a file": lambda path: path.symlink_to(path.with_name("rules")),
    "folder": os.mkdir,
}


@pytest.mark.parametrize("place", [".gitignore", ".git/info/exclude", "sub/.gitignore", "sub/.ignore"])
@pytest.mark.parametrize("make", NOT_REGULAR.values(), ids=NOT_REGULAR)
def test_ignore_files_are_regular_files_or_nothing(tmp_path, make, place):
    """A link to /dev/stdin had the server read its own protocol; a pipe held the background thread for ever."""
    write(tmp_path, {".git/info/rules": "*\n", "rules": "*\n", "sub/rules": "*\n", "sub/a.py": "x"})
    make(tmp_path / place)
    ours, theirs = os.pipe()
    saved = os.dup(0)
    os.dup2(ours, 0)
    try:
        os.write(theirs, b"protocol")
        result: list[set[str]] = []
        thread = threading.Thread(target=lambda: result.append(found(tmp_path / "sub")), daemon=True)
        thread.start()
        thread.join(20)
        assert result == [{"a.py"}]
        os.set_blocking(ours, False)
        assert os.read(ours, 100) == b"protocol"
    finally:
        os.dup2(saved, 0)
        for fd in (ours, theirs, saved):
            os.close(fd)


def test_patterns_that_are_none_are_passed_over():
    rules = IgnoreRules.above("/nowhere").with_file("/nowhere", b"!\n/\n\\\n[\nreal.py\n\xff\xfe\n")
    assert rules.ignores("/nowhere/real.py", is_folder=False)
    assert not rules.ignores("/nowhere/other.py", is_folder=False)


@pytest.fixture
def linked(tmp_path):
    """A root with links to a file and a folder outside."""
    outside, root = tmp_path / "outside", tmp_path / "root"
    write(outside, {"secret.py": "OUTSIDE = 1\n"})
    write(root, {"plain.py": "x = 1\n"})
    (root / "harmless.py").symlink_to(outside / "secret.py")
    (root / "folder").symlink_to(outside)
    (root / "inside.py").symlink_to(root / "plain.py")
    (root / "loop").symlink_to(root)
    return root


def test_links_are_neither_found_nor_read_nor_welcome(linked):
    assert found(linked) == {"plain.py"}
    for name in ("harmless.py", "folder/secret.py", "inside.py", "loop/plain.py", "../outside/secret.py", "./plain.py"):
        file = SourceFile(str(linked), name)
        assert read_source(file, 1_000) is None, name
        assert stamp_of(file) is None, name
        assert not is_indexable(file), name
    assert read_source(SourceFile(str(linked), "plain.py"), 1_000) is not None


def test_a_link_put_in_a_files_or_folders_place_after_the_walk_is_not_followed(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    write(outside, {"a.py": "OUTSIDE = 1\n"})
    write(root, {"a.py": "x = 1\n", "deep/a.py": "x = 1\n"})
    files = [file for folder in walk(str(root)) for file, _ in folder]
    assert len(files) == 2
    (root / "a.py").unlink()
    (root / "a.py").symlink_to(outside / "a.py")
    shutil.rmtree(root / "deep")
    (root / "deep").symlink_to(outside)
    assert [read_source(file, 1_000) for file in files] == [None, None]


def test_what_is_no_text_is_not_read(tmp_path):
    key = "-----BEGIN RSA " + "PRIVATE KEY-----"
    texts = {"nul.py": b"a\0b", "latin.py": b"caf\xe9", "long.py": b"x" * 5_000, "key.py": f'K = """{key}"""'.encode()}
    for name, data in texts.items():
        (tmp_path / name).write_bytes(data)
        assert read_source(SourceFile(str(tmp_path), name), 10_000) is None, name
    os.mkfifo(tmp_path / "pipe.py")
    assert read_source(SourceFile(str(tmp_path), "pipe.py"), 10_000) is None
    assert "pipe.py" not in found(tmp_path)
    (tmp_path / "bom.py").write_bytes(b"\xef\xbb\xbfx = 1\n")
    read = read_source(SourceFile(str(tmp_path), "bom.py"), 10_000)
    assert read is not None
    assert read[0] == "x = 1\n"


def test_caps(tmp_path):
    write(tmp_path, {f"{n}.py": "x" * 100 for n in range(20)})
    assert len(found(tmp_path, limits=WalkLimits(max_files=5))) == 5
    assert len(found(tmp_path, limits=WalkLimits(max_total_bytes=750))) == 7
    assert found(tmp_path, limits=WalkLimits(max_file_bytes=99)) == set()
    assert read_source(SourceFile(str(tmp_path), "1.py"), 99) is None
    write(tmp_path, {f"deep{n}/a.py": "x" for n in range(20)})
    ticks = iter(range(1_000))
    slow = walk(str(tmp_path), limits=WalkLimits(max_work_s=5.0), clock_s=lambda: float(next(ticks)))
    assert len(list(slow)) == 5


def test_a_home_folder_is_no_workspace(tmp_path, monkeypatch):
    home = tmp_path / "users" / "me"
    write(home, {"project/a.py": "x"})
    monkeypatch.setenv("HOME", str(home))
    assert real_root(str(home)) is None
    assert real_root(str(tmp_path)) is None
    assert real_root("/") is None
    assert real_root(str(home / "gone")) is None
    assert real_root(str(home / "project")) == str(home / "project")


def test_a_folder_that_nobody_may_look_into_is_no_root_and_ignores_nothing(tmp_path, monkeypatch):
    write(tmp_path, {"a.py": "x = 1\n", "closed/b.py": "x = 1\n"})

    def refused(*_, **__):
        raise PermissionError(13, "scripted")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "is_dir", refused)
        assert real_root(str(tmp_path)) is None
    with monkeypatch.context() as patched:
        patched.setattr(Path, "exists", refused)
        assert found(tmp_path) == {"a.py"}
        assert not is_indexable(SourceFile(str(tmp_path), "closed/b.py"))


def test_who_has_no_home_folder_has_a_workspace(tmp_path, monkeypatch):
    def homeless():
        raise RuntimeError("scripted")

    monkeypatch.setattr(Path, "home", homeless)
    assert real_root(str(tmp_path)) == str(tmp_path)


def test_what_tools_write_is_never_found_nor_welcome(tmp_path):
    names = ("jquery.min.js", "deep/App.MIN.JS")
    write(tmp_path, dict.fromkeys([*names, "jquery.js"], "x = 1\n"))
    assert found(tmp_path) == {"jquery.js"}
    assert not any(is_indexable(SourceFile(str(tmp_path), name)) for name in names)
