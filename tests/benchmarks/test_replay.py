"""The replay's parts: keys, persons, the race between keys and ghost text, and what is counted."""

import itertools
from pathlib import Path

import pytest
from quicksilver.benchmarks.replay import scores
from quicksilver.benchmarks.replay.baselines import FLOORS, LocalOffers
from quicksilver.benchmarks.replay.blocks import N_LINES_PROGRAM, TypedBlock, find_blocks, find_programs
from quicksilver.benchmarks.replay.offers import Late, OfferReply
from quicksilver.benchmarks.replay.run import BlockReplay, BlockRun, DiscreteClock, ShownText, replay_invoked
from quicksilver.benchmarks.replay.step import copy_sources, cut_file
from quicksilver.benchmarks.replay.typist import POLICIES, READERS, Decision, Policy, Typist, n_equal
from quicksilver.fim.errors import InputError

TEXT = "def area(width, height):\n    total = width * height\n    return total\n\n\nprint(area(2, 3))\n"


def block(text: str = TEXT, start: int | None = None, end: int | None = None) -> TypedBlock:
    start = text.index("total =") if start is None else start
    end = text.index("\n\n\nprint") if end is None else end
    return TypedBlock(Path("/pkg"), "a.py", text, start, end)


class Scripted:
    """Offers what a function of the place says, and notes what it was told."""

    def __init__(self, text_at, latency_ms=10.0):
        self.text_at, self.latency_ms, self.told = text_at, latency_ms, []

    async def begin(self, block, gap_ms):
        return self.answer(0, gap_ms)

    async def typed(self, start, end, gap_ms):
        self.told.append(("typed", start, end))
        return self.answer(end, gap_ms)

    async def accepted(self, reply, start, end, n_wrong, gap_ms):
        self.told.append(("accepted", start, end, n_wrong))
        return self.answer(end, gap_ms)

    async def end(self):
        self.told.append(("end",))

    def answer(self, at, gap_ms):
        if self.latency_ms > gap_ms:
            return Late(latency_ms=self.latency_ms, n_steps=3)
        return OfferReply(text=self.text_at(at), latency_ms=self.latency_ms, source="file", confidence=0.5, n_steps=3)


async def replayed(source, of=None, policy: Policy = "words", seed=1):
    return await BlockReplay(of or block(), Typist(seed, policy), source, DiscreteClock()).run()


def test_keys_write_the_block_and_indentation_is_free():
    one = block()
    ends = [key.end for key in one.keys]
    assert ends == sorted(set(ends)) and ends[-1] == len(one.target)
    line_end = one.target.index("\n")
    assert one.target[line_end : line_end + 5] == "\n    "
    assert line_end + 5 in ends and line_end + 1 not in ends  # the break brings its indentation along
    assert one.n_presses(0, len(one.target)) == len(one.target) - 4
    assert one.weights[-1] == len(one.target) - 4


@pytest.mark.parametrize(
    ("prefix", "target", "presses"),
    [
        ("if a:\n    ", "b\n    c", 3),  # as deep as before
        ("", "if a:\n    b", 7),  # deeper after a colon, by itself
        ("if a:\n    ", "b\nc", 4),  # one Backspace out of the block
        ("if a:\n    if b:\n        ", "c\nd", 5),  # two of them
        ("x = 1\n", "y\n\nz", 4),  # a blank line
    ],
)
def test_a_line_break_costs_what_the_editor_would_not_do(prefix, target, presses):
    one = TypedBlock(Path("/pkg"), "a.py", prefix + target, len(prefix), len(prefix + target))
    assert one.n_presses(0, len(target)) == presses


def test_blocks_are_the_same_for_a_seed_and_do_not_overlap(tmp_path):
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for i in range(3):
        (package / f"m{i}.py").write_text(TEXT.replace("area", f"area{i}") * 8)
    (package / "broken.py").write_text("def f(:\n" * 100)
    found = find_blocks([tmp_path], 10, 3, 1)
    assert found == find_blocks([tmp_path], 10, 3, 1) != find_blocks([tmp_path], 10, 3, 2)
    assert {each.path for each in found} == {"m0.py", "m1.py", "m2.py"}
    for a in found:
        assert a.target == a.target.strip() and a.prefix + a.target + a.suffix == a.text
        assert all(a is b or a.path != b.path or a.end <= b.start or b.end <= a.start for b in found)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match="there is no file or folder"):
        copy_sources([tmp_path / "nothing"], tmp_path / "target")
    with pytest.raises(InputError, match="no python file"):
        find_blocks([tmp_path], 1, 1, 1)


def test_copies_hold_no_links_and_no_other_files(tmp_path):
    source, outside = tmp_path / "source", tmp_path / "outside.py"
    source.mkdir()
    outside.write_text("SECRET = 1\n")
    (source / "a.py").write_text("x = 1\n")
    (source / ".env").write_text("KEY=1\n")
    (source / "link.py").symlink_to(outside)
    [copy] = copy_sources([source], tmp_path / "target", "python")
    assert [each.name for each in copy.iterdir()] == ["a.py"]


def test_the_block_is_not_on_disk_while_it_is_typed(tmp_path):
    (tmp_path / "a.py").write_text(TEXT)
    one = TypedBlock(tmp_path, "a.py", TEXT, block().start, block().end)
    with cut_file(one):
        assert "width * height" not in (tmp_path / "a.py").read_text()
    assert (tmp_path / "a.py").read_text() == TEXT


@pytest.mark.parametrize(
    ("policy", "text", "decision"),
    [
        ("strict", "total = width", Decision(13, 1)),
        ("strict", "total = wrong", None),
        ("words", "total = width", Decision(13, 1)),
        ("words", "total = wrong", Decision(5, 1)),  # one word of it
        ("words", "nothing", None),
        ("words", "to", None),  # saves one key: not worth it
        ("words", "total = width * height\n    raise", Decision(23, 1)),  # the line
        ("fix", "total = width * height\n    return totals", Decision(39, 2, 1)),
        ("fix", "total = x y z w v u t s r q p o n m", Decision(5, 1)),  # a word: deleting the rest costs more
    ],
)
def test_what_is_accepted(policy, text, decision):
    assert Typist(1, policy).decide(block(), 0, text) == decision


def test_a_person_is_the_same_for_every_variant_and_differs_by_seed():
    one, typist = block(), Typist(1, "words")
    assert typist.pause_ms(one, 5) == Typist(1, "strict").pause_ms(one, 5) != Typist(2, "words").pause_ms(one, 5)
    assert typist.notice_ms(one, 5, "x" * 50) > typist.notice_ms(one, 5, "x")
    pauses = sorted(Typist(seed, "words").pause_ms(one, 2) for seed in range(400))
    assert 130 < pauses[200] < 170  # inside a word: the median


async def test_without_offers_all_is_typed():
    run = await replayed(Scripted(lambda at: ""))
    assert (run.n_presses, run.n_chars_saved, run.shown) == (len(block().target) - 4, 0, [])
    assert run.total_ms == pytest.approx(run.plain_ms)


async def test_what_is_right_is_accepted_and_saves_keys_and_time():
    target = block().target
    source = Scripted(lambda at: target[at:].split("\n")[0])
    run = await replayed(source)
    assert run.n_chars_saved > 0.9 * block().weights[-1] and run.n_presses < 5 and run.total_ms < run.plain_ms
    assert run.shown[-1].ends == "accepted" and source.told[-1] == ("end",)
    assert any(told[0] == "accepted" and told[3] == 0 for told in source.told)


async def test_what_comes_late_is_never_seen():
    target = block().target
    run = await replayed(Scripted(lambda at: target[at:], latency_ms=60_000.0))
    assert run.shown == [] and all(isinstance(each, Late) for each in run.answers)
    assert scores.score([run])["cancelled"] == len(run.answers) and scores.score([run])["forwards_unseen"] == 1.0


async def test_grey_text_stays_while_it_is_typed_and_goes_when_it_is_wrong():
    target = block().target
    run = await replayed(Scripted(lambda at: target[at : at + 2] + "?" if at % 3 == 0 else "x"), policy="strict")
    assert run.n_chars_saved == 0
    assert {each.n_right for each in run.shown} <= {0, 1, 2}
    assert all(each.to_ms >= each.from_ms and each.ends == "gone" for each in run.shown)
    wrong = sum(len(each.text) - each.n_right for each in run.shown if each.visible_ms >= 250)
    assert scores.score([run])["wrong_per_1000"] == pytest.approx(1000 * wrong / block().weights[-1])


async def test_a_text_that_is_typed_through_counts_once():
    target = block().target
    run = await replayed(Scripted(lambda at: target[at:6] if at < 6 else ""), policy="strict", seed=4)
    assert len([each for each in run.shown if each.at == 0]) == 1


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(5))
async def test_the_block_is_complete_and_every_press_is_counted(policy, seed):
    """Whatever is offered: what was typed and what was accepted are the block, once."""
    target = block().target
    source = Scripted(lambda at: target[at : at + 1 + at % 7] + ("zz" if at % 2 else ""))
    run = await replayed(source, policy=policy, seed=seed)
    spans = [told[1:3] for told in source.told if told[0] in ("typed", "accepted")]
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans)) and spans[0][0] == 0
    typed = sum(block().n_presses(told[1], told[2]) for told in source.told if told[0] == "typed")
    assert run.n_presses >= typed and run.n_chars_saved <= block().weights[-1]


async def test_a_person_who_asks_on_request_asks_once_a_line():
    target = block().target
    assert target == "total = width * height\n    return total"
    source = Scripted(lambda at: target[at:].split("\n")[0])
    run = await replay_invoked(block(), Typist(1, "words"), source)
    assert [each.at for each in run.shown] == [0, 27] and all(each.is_right for each in run.shown)
    assert source.told == [("typed", 0, 27), ("end",)]  # accepted and typed at once: nobody asks in between
    assert run.n_chars_saved == block().weights[-1] - 1  # all but the line break
    assert run.n_presses == 3  # two that accept, and Enter


async def test_what_is_wrong_on_request_counts_and_is_typed():
    target = block().target
    run = await replay_invoked(block(), Typist(1, "words"), Scripted(lambda at: "total = wrong\n    return total"))
    assert [(each.at, each.n_accepted) for each in run.shown] == [(0, 5), (27, 0)]
    wrong = sum(len(each.text) - each.n_right for each in run.shown)
    assert scores.score([run])["wrong_per_1000"] == pytest.approx(1000 * wrong / block().weights[-1])
    assert run.n_presses == 1 + block().n_presses(5, len(target))


async def test_on_request_several_lines_may_be_accepted():
    target = block().target
    run = await replay_invoked(block(), Typist(1, "words"), Scripted(lambda at: target[at:]))
    assert len(run.answers) == 1 and run.n_chars_saved == block().weights[-1] and run.n_presses == 1


def test_floors():
    one = block("alpha = 1\nbeta = alpha\nalpha = 1\ngamma\n", 23, 32)
    assert one.target == "alpha = 1"
    assert [FLOORS[name](one, 2) for name in ("none", "words", "copied-line", "oracle")] == ["", "pha", "", "pha = 1"]
    assert FLOORS["copied-line"](one, 3) == "ha = 1"
    assert FLOORS["oracle-block"](block(), 0) == block().target


async def test_an_oracle_beats_words_which_beat_nothing():
    saved = {}
    for name in ("none", "words", "oracle"):
        saved[name] = scores.score([await replayed(LocalOffers(FLOORS[name], 5.0))])["keys_saved"]
    assert saved["none"] == 0 < saved["oracle"] and saved["words"] <= saved["oracle"]


async def test_differences_are_paired_by_file():
    target = block().target
    good = await replayed(Scripted(lambda at: target[at:]))
    none = await replayed(Scripted(lambda at: ""))
    value, low, high = scores.difference([good], [none], scores.chars_saved, scores.chars_typed)
    assert value == low == high == pytest.approx(good.n_chars_saved / block().weights[-1])


async def test_faults_of_shown_texts_are_counted():
    run = await replayed(Scripted(lambda at: "f(((" if at == 0 else ""), policy="strict")
    row = scores.score([run])
    assert row["shown"] == 1 and row["bracket_errors"] == 1.0 and row["parse_errors"] == 1.0
    right = scores.score([await replayed(Scripted(lambda at: block().target if at == 0 else ""))])
    assert right["parse_errors"] == 0.0 and right["exact"] == 1.0


def test_n_equal():
    assert (n_equal("abc", "abd"), n_equal("", "a"), n_equal("ab", "abc"), n_equal("abc", "ab")) == (2, 0, 2, 2)


def test_a_patient_reader_takes_whole_words_that_are_right_to_the_end():
    one, person = block(), Typist(1, "words", "patient")
    assert one.target.startswith("total = width * height\n")
    for text in ("total =", "total = width", "total = width * height\n    return total"):
        assert person.decide(one, 0, text) == Decision(len(text), 1)
    for text in ("total = wid", "total = width + height", "to"):
        assert person.decide(one, 0, text) is None
    assert person.notice_ms(one, 0, "total") == 330.0


async def test_flicker_is_counted_and_disturbs_a_patient_reader():
    def wrong(at):
        return f"wrong_{at}"

    runs = {}
    for reader in READERS:
        typist = Typist(1, "words", reader)
        runs[reader] = await BlockReplay(block(), typist, Scripted(wrong), DiscreteClock()).run()
    facts = {reader: scores.texts(run.shown) for reader, run in runs.items()}
    assert facts["eager"]["flickers"] > 0 and facts["eager"]["texts_right"] == 0.0
    assert runs["eager"].total_ms == pytest.approx(runs["eager"].plain_ms)
    assert runs["patient"].total_ms > runs["patient"].plain_ms


def test_programs_are_beginnings_of_files_without_their_licence(tmp_path):
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "short.py").write_text(TEXT)
    (package / "long.py").write_text("# Copyright\n# Licence\n\n" + TEXT * 30)
    [program] = find_programs([tmp_path], 5, 1)
    assert (program.start, program.prefix, program.suffix) == (0, "", "")
    assert program.target.startswith("def area") and program.target.count("\n") <= N_LINES_PROGRAM[1]
    with pytest.raises(InputError, match="no python file of at least"):
        find_programs([package / "short.py"], 1, 1)


def test_reliability_compares_what_was_promised_with_what_was_right():
    run = BlockRun(block=block())
    for confidence, n_right in ((0.91, 4), (0.93, 4), (0.94, 1), (0.55, 0)):
        run.shown.append(ShownText(at=0, text="abcd", n_right=n_right, from_ms=0.0, confidence=confidence))
    run.shown.append(ShownText(at=0, text="abcd", n_right=4, from_ms=0.0))  # nothing promised
    assert scores.reliability([run]) == [
        {"from": 0.5, "texts": 1, "promised": 0.55, "right": 0.0},
        {"from": 0.9, "texts": 3, "promised": 0.927, "right": 0.667},
    ]
