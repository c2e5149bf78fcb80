import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.benchmarks.quality import calibration
from quicksilver.benchmarks.quality.decoders import CATALOGUE, Attempt
from quicksilver.benchmarks.quality.holes import Kind, Task
from quicksilver.benchmarks.quality.scores import filling, judge, score

ONE = next(decoder for decoder in CATALOGUE if decoder.name == "denoiser-one")
FLOOR = CATALOGUE[0]


def task(truth, suffix="\nrest", kind: Kind = "rest-of-line"):
    return Task("p", "a.py", "x = ", suffix, truth, kind)


def test_single_line_kinds_take_the_first_line_others_all():
    answer = Attempt("foo()  \nmore")
    assert judge(task("foo()"), answer, True).exact
    assert filling(task("foo()"), answer) == "foo()  "
    several = judge(task("foo()\nless", kind="multi-line"), answer, True)
    assert several.first_line and not several.exact
    assert 0.4 < (several.similarity or 0) < 1


def test_trailing_blanks_matter_only_where_text_follows():
    assert judge(task("foo", suffix=""), Attempt("foo \n"), None).exact
    assert judge(task("a\n  b", kind="block"), Attempt("a\n  b\n"), None).exact
    assert not judge(task("foo", suffix=")", kind="random-span"), Attempt("foo "), None).exact
    assert judge(task("foo ", suffix="+ 1", kind="random-span"), Attempt("foo "), None).exact


def test_a_row_counts_what_is_right():
    right = judge(task("foo()"), Attempt("foo()", steps=3, confidence=0.9, ms=4.0), True)
    wrong = judge(task("foo()"), Attempt("bar", steps=1, confidence=0.1, ms=2.0), False)
    unparsed = judge(task("foo()"), Attempt("bar", steps=2, confidence=0.2, ms=2.5), None)
    row = score("rest-of-line", ONE, [right, wrong, unparsed, right])
    assert (row["exact_match"], row["mean_steps"], row["median_ms"]) == (0.5, 2.25, 3.25)
    assert (row["syntax_valid"], row["syntax_holes"]) == (0.6667, 3)
    assert (row["precision_at_25"], row["precision_at_50"], row["precision_at_75"]) == (1.0, 1.0, 0.6667)
    low, high = row["exact_match_95"]
    assert 0 <= low < 0.5 < high <= 1
    assert row["ece"] == pytest.approx((0.1 + 0.1 + 0.1 + 0.2) / 4)


def test_floors_have_no_confidence_to_judge():
    row = score("block", FLOOR, [judge(task("a"), Attempt("a"), None)])
    assert row["ece"] is row["risk_coverage"] is row["precision_at_50"] is row["syntax_valid"] is None
    assert row["exact_match"] == 1.0


def test_a_perfect_confidence_has_no_error_and_no_risk_to_avoid():
    sure, right = [0.0, 1.0, 0.0, 1.0], [0, 1, 0, 1]
    assert calibration.expected_error(calibration.reliability(sure, right)) == 0
    precision = calibration.precisions(sure, right)
    assert list(precision) == pytest.approx([1, 1, 2 / 3, 1 / 2])
    assert calibration.risk_area(precision) == pytest.approx(1 - (1 + 1 + 2 / 3 + 1 / 2) / 4)
    reverse = calibration.precisions([1.0, 0.0, 1.0, 0.0], right)
    assert calibration.risk_area(reverse) > calibration.risk_area(precision)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.93, 1.0]), st.booleans()), min_size=1, max_size=60))
def test_measures_do_not_depend_on_the_order_of_answers(pairs):
    def measures(ordered):
        sure, right = zip(*ordered, strict=True)
        bins, precision = calibration.reliability(sure, right), calibration.precisions(sure, right)
        assert sum(b.n for b in bins) == len(ordered)
        assert calibration.risk_coverage(precision)[-1] == pytest.approx((1.0, 1 - sum(right) / len(right)))
        return [calibration.expected_error(bins), calibration.risk_area(precision), *precision]

    found = measures(pairs)
    assert found == pytest.approx(measures(pairs[::-1]))
    assert all(-1e-9 <= each <= 1 + 1e-9 for each in found)


def test_resampling_keeps_to_the_strata_and_covers_the_mean():
    values, strata = [0, 1] * 50 + [1] * 100, ["a"] * 100 + ["b"] * 100
    means = calibration.resampled_means(values, strata)
    low, high = calibration.interval(means)
    assert low < 0.75 < high and means.min() >= 0.5  # b gives 1 in every resample
    assert high - low == pytest.approx(2 * 1.96 * 0.25 / 10, rel=0.15)  # only a's half varies
    assert (means == calibration.resampled_means(values, strata)).all()
