import gzip
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from functools import partial

import pytest
from quicksilver.fim.errors import InputError
from quicksilver.training import cli as command
from quicksilver.training.corpus import corpus, sources
from quicksilver.training.corpus.report import corpus_report
from quicksilver.training.corpus.sources import Origin, Package, Refused

pytestmark = pytest.mark.slow

CODE = "".join(f"def function_{i}(first, second):\n    return first + second * {i}\n\n\n" for i in range(20))
OTHER = "".join(f"class Thing{i}:\n    def open_{i}(self, path):\n        self.path = path\n\n\n" for i in range(30))
THIRD = "".join(
    f"for step_{i} in range({i}):\n    print('number', step_{i})\n    save(step_{i})\n\n" for i in range(30)
)


def origin(name, **files):
    package = Package(name, "1.0", "MIT", "0" * 64, {f"{k}.py": v.encode() for k, v in files.items()})
    return Origin(name, partial(same, package))


def same(package):
    return package


def documents(origins, report=None, **options):
    report = report or corpus.CorpusReport()
    return list(corpus.collect(corpus.examine_packages(corpus.in_order(origins), **options), report)), report


def build(folder, origins, report=None):
    report = report or corpus.CorpusReport()
    examined = corpus.examine_packages(corpus.in_order(origins))
    corpus.write(corpus.collect(examined, report), report, folder, corpus_report)
    return report


def test_split_by_package_without_overlap(tmp_path):
    build(tmp_path / "corpus", [origin("alpha", a=CODE), origin("astropy", b=OTHER), origin("werkzeug", c=THIRD)])
    names = {split: {d.package for d in corpus.read(tmp_path / "corpus", split)} for split in corpus.SPLITS}
    assert names == {"train": {"alpha"}, "valid": {"werkzeug"}, "heldout": {"astropy"}}
    manifest = json.loads((tmp_path / "corpus" / "manifest.json").read_text())
    assert {s["name"]: (s["version"], s["licence"], s["split"], s["n_chars"]) for s in manifest["sources"]} == {
        "alpha": ("1.0", "MIT", "train", len(CODE)),
        "astropy": ("1.0", "MIT", "heldout", len(OTHER)),
        "werkzeug": ("1.0", "MIT", "valid", len(THIRD)),
    }


def test_exact_duplicates_go_whatever_their_white_space():
    found, report = documents([origin("a", x=CODE), origin("b", y=CODE.replace("    ", "\t"))])
    assert len(found) == 1
    assert report.drops["exact duplicate"] == 1


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("name", ["astropy", "werkzeug"])
def test_a_near_copy_always_leaves_the_training_split(name, order):
    origins = [origin("aaa", x=CODE + "# a line more\n"), origin(name, y=CODE)][::order]
    found, report = documents(origins)
    assert [d.package for d in found] == [name]
    assert report.drops == {f"near duplicate of a document in {corpus.split_of(name)}": 1}


def test_line_ends_and_byte_order_marks_are_normalised():
    found, _ = documents([origin("a", x="\ufeff" + CODE.replace("\n", "\r\n"))])
    assert found[0].text == CODE


def test_a_package_counts_once():
    assert len(documents([origin("a", x=CODE), origin("a", z=OTHER)])[0]) == 1


def test_the_cap_of_a_package(monkeypatch):
    monkeypatch.setattr(corpus, "N_CHARS_PER_PACKAGE", max(len(CODE), len(OTHER)) + 10)
    found, report = documents([origin("a", x=CODE, y=OTHER)])
    assert len(found) == 1
    assert report.drops["over the cap of its package"] == 1


def test_addresses_are_scrubbed_and_counted():
    found, report = documents([origin("a", x="# by jane@firm.com\n" + CODE)])
    assert "jane" not in found[0].text
    assert report.scrubs == {"e-mail address": 1}


def test_refused_packages_are_named():
    report = documents([Origin("gpl-only", partial(same, Refused("gpl-only")))])[1]
    assert list(report.drops) == ["package gpl-only: no permissive licence in its metadata"]


def test_tokens_are_estimated_from_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "N_SAMPLE_CHARS", 10)
    report = build(tmp_path / "corpus", [origin("alpha", a=CODE, b=OTHER)])
    report.estimate_tokens(lambda texts: sum(map(len, texts)) // 4, "a fake")
    assert report.sources[0].n_tokens == pytest.approx((len(CODE) + len(OTHER)) / 4, rel=0.02)
    assert "a fake" in corpus_report(report)


def test_nothing_permissive_is_an_error_and_the_old_corpus_stays(tmp_path):
    folder = tmp_path / "corpus"
    build(folder, [origin("alpha", a=CODE)])
    with pytest.raises(InputError, match="nothing to train on"):
        build(folder, [Origin("gpl-only", partial(same, Refused("gpl-only")))])
    assert [d.text for d in corpus.read(folder, "train")] == [CODE]
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_a_folder_with_other_files_is_not_replaced(tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        build(tmp_path / "corpus", [origin("alpha", a=CODE)])
    assert (tmp_path / "corpus" / "thesis.tex").exists()


@pytest.mark.parametrize("ending", [".part", ".old"])
def test_folders_used_on_the_way_are_not_emptied_if_they_are_somebodys(tmp_path, ending):
    backup = tmp_path / f"corpus{ending}"
    backup.mkdir()
    (backup / "notes.txt").write_text("precious")
    with pytest.raises(InputError, match=r"notes\.txt"):
        build(tmp_path / "corpus", [origin("alpha", a=CODE)])
    assert (backup / "notes.txt").read_text() == "precious"


def test_a_full_disk_leaves_the_old_corpus(tmp_path, monkeypatch):
    folder = tmp_path / "corpus"
    build(folder, [origin("alpha", a=CODE)])

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(corpus.json, "dumps", full)
    with pytest.raises(OSError, match="No space"):
        build(folder, [origin("alpha", a=OTHER)])
    monkeypatch.undo()
    assert [d.text for d in corpus.read(folder, "train")] == [CODE]


def test_missing_and_damaged_corpora(tmp_path):
    with pytest.raises(InputError, match="train corpus"):
        corpus.read(tmp_path, "train")
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(b'{"package": "a"}\n')[:-6])
    with pytest.raises(InputError, match="damaged"):
        corpus.read(tmp_path, "train")


def wheel(folder, name, licence, **files):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        header = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\nLicense-Expression: {licence}\n"
        archive.writestr(f"{name}-1.0.dist-info/METADATA", header)
        for inside, text in files.items():
            archive.writestr(f"{name}/{inside}.py", text)
    return path


@pytest.fixture(autouse=True)
def without_the_standard_library(monkeypatch):
    """Reading all of it takes seconds; test_corpus_sources.py reads it once."""
    monkeypatch.setattr(sources, "standard_library", partial(Origin, "python", partial(Refused, "python", "left out")))


def step(folder, *options):
    (folder / "packages.txt").write_text("good==1.0\nbad==1.0  # a comment\nabsent==3\n")
    command.main(
        ["corpus", "--no-download", "--folder", str(folder), "--packages", str(folder / "packages.txt"), *options]
    )


def test_the_step_in_two_processes(tmp_path, capsys):
    wheel(tmp_path / "wheels", "good", "MIT", a=CODE, b=OTHER)
    wheel(tmp_path / "wheels", "bad", "GPL-3.0-only", a=THIRD)
    (tmp_path / "tasks.jsonl").write_text(json.dumps({"prompt": OTHER}) + "\n")
    step(tmp_path, "--processes", "2", "--decontaminate", str(tmp_path / "tasks.jsonl"))
    found = [d for d in corpus.read(tmp_path / "corpus", "train") if d.package == "good"]
    assert found == [corpus.CorpusDocument("good", "good/a.py", CODE)]
    printed = capsys.readouterr().out
    assert "package bad-1.0-py3-none-any.whl: no permissive licence" in printed
    assert "package absent: its archive is not in wheels/" in printed
    assert "shares 13 words in a row" in printed
    manifest = json.loads((tmp_path / "corpus" / "manifest.json").read_text())
    assert manifest["decontaminated"][0].startswith("tasks.jsonl (sha256 ")
    assert all(source["n_tokens"] > 0 for source in manifest["sources"])
    assert (tmp_path / "corpus" / "report.md").read_text().strip() in printed


@pytest.mark.parametrize("options", [["--processes", "2"], ["--processes", "1"]])
def test_a_damaged_wheel_is_named_in_one_line(tmp_path, options):
    path = wheel(tmp_path / "wheels", "good", "MIT", a=CODE)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"good-1\.0-py3-none-any\.whl is damaged .* delete it") as caught:
        step(tmp_path, *options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "corpus").exists()


def test_wrong_arguments(tmp_path):
    with pytest.raises(InputError, match="--processes"):
        step(tmp_path, "--processes", "0")
    with pytest.raises(InputError, match="no evaluation file"):
        step(tmp_path, "--decontaminate", str(tmp_path / "none.jsonl"))


def test_an_interrupt_leaves_the_old_corpus_and_no_process(tmp_path):
    folder = tmp_path / "corpus"
    build(folder, [origin("alpha", a=CODE)])
    rng = "".join(f"def f{i}(a{i}, b{i}):\n    return a{i} ** b{i}\n" for i in range(4000))
    wheel(tmp_path / "wheels", "good", "MIT", **{f"m{i}": rng.replace("def f", f"def g{i}_") for i in range(150)})
    (tmp_path / "packages.txt").write_text("good==1.0\n")
    arguments = ["train", "corpus", "--no-download", "--folder", str(tmp_path), "--processes", "2"]
    code = "import sys; from quicksilver.cli.main import main; sys.exit(main(sys.argv[1:]))"
    running = subprocess.Popen(
        [sys.executable, "-P", "-c", code, *arguments, "--packages", str(tmp_path / "packages.txt")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (tmp_path / "corpus.part").exists():
        assert running.poll() is None
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 130
    assert b"Traceback" not in errors
    assert [d.text for d in corpus.read(folder, "train")] == [CODE]
    assert not (tmp_path / "corpus.part").exists()
