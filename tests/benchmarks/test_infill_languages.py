"""Infilling tasks in other languages than Python: the problems, and what holds their programs back."""

import os
from pathlib import Path

import pytest
from quicksilver.benchmarks.evaluate import main
from quicksilver.benchmarks.infilling.gold import gold_verdicts
from quicksilver.benchmarks.infilling.readers import read_all
from quicksilver.benchmarks.sandbox.execution import EMPTY_PROGRAMS, Limits, Program, execute, runs_here
from quicksilver.benchmarks.sandbox.toolchains import ENDING
from quicksilver.fim.errors import InputError
from quicksilver.fim.syntax.tree import parse

from .test_infill import script

pytestmark = pytest.mark.slow

LANGUAGES = ("javascript", "typescript", "go", "rust", "java", "cpp")
PATIENT = Limits(seconds=20)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("languages")
    script("derive")
    assert len(script("derive_languages").derive(folder)) == 24
    return folder


@pytest.mark.parametrize("language", LANGUAGES)
def test_twenty_problems_whose_programs_the_grammar_reads(language: str, sets: Path) -> None:
    tasks = read_all([sets / f"{kind}-{language}.jsonl" for kind in ("single-line", "multi-line", "random-span")])
    by_base = {task.base: task for task in tasks}
    assert len(by_base) == 20 and len(tasks) >= 130
    assert {task.benchmark for task in tasks} == {
        f"{k}-{language}" for k in ("single-line", "multi-line", "random-span")
    }
    for task in by_base.values():
        syntax = parse(task.hole.prefix + task.hole.truth + task.hole.suffix, language)
        assert syntax is not None and syntax.n_errors == 0, task.name


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_solution_passes_and_nothing_in_its_place_fails(language: str, sets: Path) -> None:
    task = read_all([sets / f"multi-line-{language}.jsonl"])[0]
    assert (task.check is not None) is runs_here(language)
    if not runs_here(language):
        pytest.skip(f"nothing runs {language} here")
    [(_, verdict)] = gold_verdicts([task], PATIENT, 1)
    assert verdict.outcome == "passed", verdict
    empty = task.program("")
    assert empty is not None and execute(empty, PATIENT).outcome == "failed"


def test_languages_are_picked(sets: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    files = [str(sets / f"santacoder-{language}.jsonl") for language in ("go", "rust")]
    assert main(["infill", *files, "--gold", "--languages", "rust"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "santacoder-rust: nothing is run"
    with pytest.raises(InputError, match="no task is in python; these files have go, rust"):
        main(["infill", *files, "--gold", "--languages", "python"])


def test_without_a_toolchain_the_text_counts(sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quicksilver.benchmarks.infilling.readers.runs_here", lambda language: language == "python")
    [task, *_] = read_all([sets / "single-line-rust.jsonl"])
    assert task.program(task.hole.truth) is None and task.same(task.hole, task.hole.truth)


def javascript(source: str, limits: Limits = PATIENT):
    if not runs_here("javascript"):
        pytest.skip("nothing runs JavaScript here")
    return execute(Program(source=source, language="javascript"), limits)


def test_what_does_not_reach_its_end_has_not_passed() -> None:
    verdict = javascript(f'process.exit(0);\nconsole.log("{ENDING}");')
    assert (verdict.outcome, verdict.detail) == ("failed", "the program left before its end")
    assert javascript('console.log("quicksilver");').outcome == "failed"
    assert javascript("let x = ;").outcome == "failed"
    assert javascript("process.abort();").outcome == "crashed"


def test_a_program_ends_when_its_time_is_up() -> None:
    assert javascript("while (true) {}", Limits(seconds=0.5)).outcome == "timeout"


def test_a_program_leads_nowhere(tmp_path: Path) -> None:
    tried = f"""
        import {{ execFileSync }} from "node:child_process";
        import fs from "node:fs";
        import net from "node:net";
        const held = [];
        const attempts = {{
          child: () => execFileSync("/bin/true"),
          file: () => fs.writeFileSync({str(tmp_path / "x")!r}, "x"),
          signal: () => process.kill({os.getpid()}, 0),
          parent: () => fs.openSync(`/proc/${{process.ppid}}/mem`),
          descriptors: () => fs.openSync(`/proc/${{process.ppid}}/fd/0`),
        }};
        for (const [name, attempt] of Object.entries(attempts)) {{
          try {{ attempt(); }} catch {{ held.push(name); }}
        }}
        await new Promise((done) => {{
          const socket = net.connect(1, "127.0.0.1");
          socket.on("error", (error) => {{ if (error.code !== "ECONNREFUSED") held.push("network"); done(); }});
        }});
        fs.writeFileSync("own", "x");
        if (held.length < 6) throw new Error(held.join());
        console.log("{ENDING}");
    """
    verdict = javascript(tried)
    assert verdict.outcome == "passed", verdict
    assert not (tmp_path / "x").exists()


def test_nothing_runs_without_a_filter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not runs_here("javascript"):
        pytest.skip("nothing runs JavaScript here")
    from quicksilver.benchmarks.sandbox import execution as infill_execution

    for name in ("compile_and_run.py", "jail_kernel.py"):
        text = infill_execution.BUILD.with_name(name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("    machine = os.uname().machine", "    machine = 'none'"), "utf-8")
    monkeypatch.setattr(infill_execution, "BUILD", tmp_path / "compile_and_run.py")
    verdict = execute(Program(source=EMPTY_PROGRAMS["javascript"], language="javascript"), PATIENT)
    assert verdict.outcome == "failed" and "not run" in verdict.detail
