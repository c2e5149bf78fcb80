"""bench kernels: what is counted, compared and written down. Its times are nobody's to assert."""

import json
import math
from itertools import cycle
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from quicksilver.benchmarks import bench as command
from quicksilver.benchmarks.speed import kernels
from quicksilver.benchmarks.speed.kernels import KERNELS, KernelSetting, check, measure, rounds, time_sides, timer
from quicksilver.cli import main as cli
from quicksilver.fim.errors import InputError
from quicksilver.kernels import head_stats
from tiny import tiny_config

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
MODEL = tiny_config(100)  # width 48, 4 and 2 heads of 12, inner width 64, canvas 8
CEILINGS = {"gb_per_s": 10.0, "gflop_per_s": 100.0, "cache_bytes": 50_000}
NAMED = {"norm_rope": ("n_heads", "n_kv_heads", "eps"), "commit": ("mask", "end", "threshold")}


def setting(t=33, dtype=torch.float32):
    return KernelSetting(MODEL, 2, t, dtype)


@pytest.mark.parametrize(
    ("name", "n_bytes", "flops"),
    [
        # 64 queries and outputs of 12, 2 * 2 * 2 * (33 + 8) keys and values of 12; 2 * 2 pages; 2 * 2 lengths
        ("canvas_attention", 4 * (2 * 768 + 3936) + 16 + 16, 64 * 41 * 12 * 4),
        # 16 tokens of 96 thrice, 96 + 24 parameters; 16 * 6 cosines and sines
        ("norm_rope", 4 * (3 * 1536 + 120) + 4 * 192, 16 * (96 * 2 + 72 * 7)),
        ("head_stats", 4 * (768 + 4800) + 100 + 320, 153_600),
        # 16 * 33 weights of 4, 2 * 33 followers of 8, 16 gates of 4, outputs of 8 + 4 + 4
        ("mixture_head", 4 * (768 + 4800) + 100 + 2112 + 528 + 64 + 256, 153_600 + 528),
        ("int8_matmul qkv", 4 * (768 + 1536) + 4608 + 384, 147_456),
        ("int8_matmul out", 4 * (768 + 768) + 2304 + 192, 73_728),
        ("int8_matmul up", 4 * (768 + 2048) + 6144 + 512, 196_608),
        ("int8_matmul down", 4 * (1024 + 768) + 3072 + 192, 98_304),
        ("commit", 16 * 38 + 8, 16),
    ],
)
def test_counts_by_hand(name, n_bytes, flops):
    work = KERNELS[name][1](setting())
    assert (work.n_bytes, work.flops) == (n_bytes, flops)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", KERNELS)
def test_bytes_are_those_of_the_tensors(name, dtype):
    """With whole pages; of the stops only those of the canvas's tokens are looked up."""
    module, work_of = KERNELS[name]
    work = work_of(setting(64, dtype))
    outputs = module.reference(*work.inputs)
    tensors = [*work.inputs, *(outputs if isinstance(outputs, tuple) else (outputs,))]
    n_bytes = sum(tensor.nbytes for tensor in tensors if isinstance(tensor, torch.Tensor))
    assert work.n_bytes == n_bytes - (100 - 16 if name == "commit" else 0)


@pytest.mark.parametrize("name", KERNELS)
def test_inputs_are_what_the_kernels_take(name):
    """The public function checks shapes, dtypes and strides."""
    module, work_of = KERNELS[name]
    name = name.partition(" ")[0]
    inputs = work_of(setting()).inputs
    n = len(inputs) - len(NAMED.get(name, ()))
    outputs = getattr(module, name)(*inputs[:n], **dict(zip(NAMED.get(name, ()), inputs[n:], strict=True)))
    for tensor in outputs if isinstance(outputs, tuple) else (outputs,):
        assert torch.isfinite(tensor).all()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything so small that a run takes a second."""
    monkeypatch.setattr(kernels, "RECIPES", {"nano": lambda: SimpleNamespace(shape=MODEL)})
    monkeypatch.setattr(kernels, "CONTEXTS", {"nano": (33, 64)})
    monkeypatch.setattr(kernels, "LARGE", {"cpu": (10_000, 32)})
    monkeypatch.setattr(kernels, "CPU_CACHE_BYTES", 50_000)
    monkeypatch.setattr(kernels, "TURN_S", 0.0)


def run(tmp_path, *options: str) -> Any:
    file = tmp_path / "kernels.json"
    assert command.main(["kernels", "--device", "cpu", "--rounds", "3", "--json", str(file), *options]) == 0
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.usefixtures("small")
def test_a_run_on_a_cpu(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    result = run(tmp_path, "--png", str(tmp_path / "kernels.png"))
    assert result["computed_by"] == "reference" and result["benchmark"] == "kernels"
    assert result["plan"] == {"device": "cpu", "sizes": ["nano"], "dtype": "float32", "n_rounds": 3}
    assert result["machine"]["versions"]["torch"] == torch.__version__ and result["date"] and "CPU" in result["device"]
    assert result["models"]["nano"]["n_canvas"] == 8
    assert result["ceilings"]["gb_per_s"] == max(result["ceilings"][f"{n}_gb_per_s"] for n in ("copy", "triad", "sum"))
    settings = [(row["kernel"], row["n_context"], row["n_batch"]) for row in result["rows"]]
    with_context = {(name, t, b) for name in ("canvas_attention", "mixture_head") for t in (33, 64) for b in (1, 8)}
    others = {(name, None, b) for name in KERNELS if name not in kernels.WITH_CONTEXT for b in (1, 8)}
    assert len(settings) == len(set(settings)) and set(settings) == with_context | others
    for row in result["rows"]:
        assert row["error"] is row["reference_us"] is row["speedup"] is row["max_error"] is None
        assert 0 < row["p10_us"] <= row["median_us"] <= row["p90_us"] and row["timer"] == "loop"
        assert math.isclose(row["share_of_floor"], row["floor_us"] / row["median_us"], rel_tol=0.01)
        floor_s = max(row["n_bytes"] / result["ceilings"]["gb_per_s"], row["flops"] / result["ceilings"]["gflop_per_s"])
        assert math.isclose(row["floor_us"], floor_s / 1000, rel_tol=0.01)
    assert (tmp_path / "kernels.png").read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert "canvas_attention" in said and said.endswith(
        "quicksilver bench kernels --device cuda --size nano,base,7b --json kernels.json\n"
    )


@pytest.mark.usefixtures("small")
def test_a_kernel_that_fails_leaves_the_others_alone(tmp_path, capsys, monkeypatch):
    def failing(*inputs: object):
        raise RuntimeError("out of [shared] memory\nand more")

    monkeypatch.setattr(head_stats, "reference", failing)
    rows = run(tmp_path)["rows"]
    for row in rows:
        failed = row["kernel"] == "head_stats"
        assert row["error"] == ("RuntimeError: out of [shared] memory" if failed else None)
        assert (row["median_us"] is None) == failed and row["floor_us"] > 0
    assert len({tuple(sorted(row)) for row in rows}) == 1
    assert "head_stats, nano, batch 8: RuntimeError: out of [shared] memory" in capsys.readouterr().out


NUMBERS = head_stats.HeadStats(torch.arange(400), torch.ones(4), -2 * torch.ones(4), torch.ones(4))


def test_differences():
    assert check(NUMBERS, NUMBERS, torch.float32) == {"max_error": 0, "mismatches": 0}
    other = NUMBERS._replace(
        lse=torch.tensor([-2.0, -2.0, -2.02, -2.0]), tokens=NUMBERS.tokens.index_fill(0, torch.tensor(7), 0)
    )
    assert check(other, NUMBERS, torch.bfloat16) == {"max_error": 0.01, "mismatches": 0.0025}
    assert check(torch.ones(3), torch.ones(3), torch.float32)["max_error"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"lse": torch.tensor([-2.0, -2.0, -2.02, -2.0])},
        {"lse": torch.tensor([-2.0, math.nan, -2.0, -2.0])},
        {"lse": torch.full((4,), -math.inf)},
        {"tokens": torch.arange(400).flip(0)},
    ],
)
def test_wrong_results_are_refused(change):
    with pytest.raises(ArithmeticError):
        check(NUMBERS._replace(**change), NUMBERS, torch.float16)


def test_rounds_interleave_and_the_first_does_not_count():
    order = []

    def turn(name):
        order.append(name)
        return len(order)

    assert rounds([lambda: turn("a"), lambda: turn("b")], 2) == [[3, 5], [4, 6]]
    assert order == ["a", "b"] * 3
    assert kernels.by_clock(cycle([lambda: order.append("c")]), 5, CPU) > 0 and order[6:] == ["c"] * 5


def test_copies_of_the_inputs_take_turns(monkeypatch):
    monkeypatch.setattr(kernels, "TURN_S", 0.0)
    seen: list[tuple[int, int]] = []
    inputs = torch.arange(1000.0), 7
    row = time_sides([lambda x, n: seen.append((x.data_ptr(), n))], inputs, CPU, 10_000, 20)
    assert row["inputs_from"] == "memory" and "speedup" not in row
    addresses = [address for address, _ in seen]
    assert len(set(addresses)) == 8  # 3 caches of 10,000 bytes, 4,000 each
    assert addresses == [address for address, _ in zip(cycle(addresses[:8]), addresses, strict=False)]
    assert {n for _, n in seen} == {7}
    assert time_sides([lambda x, n: None], inputs, CPU, 10_000_000, 1)["inputs_from"] == "cache"


def test_a_reference_beside_a_kernel(monkeypatch):
    """The speed-up is the median of the rounds' ratios: 2, 1 and 0.5."""
    monkeypatch.setattr(kernels, "rounds", lambda timers, n: [[1e-6, 2e-6, 4e-6], [2e-6] * 3])
    row = time_sides([torch.sin, torch.cos], (torch.ones(9),), CPU, 10, 3)
    times = {"p10_us": 1.0, "median_us": 2.0, "p90_us": 4.0, "reference_us": 2.0, "speedup": 1.0}
    assert row == times | {"inputs_from": "memory", "timer": "loop"}


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """As much of CUDA as timing asks for; gives what was done, in order."""
    done: list[str] = []

    event = SimpleNamespace(
        record=lambda: done.append("record"), synchronize=lambda: done.append("wait"), elapsed_time=lambda end: 6.0
    )
    monkeypatch.setattr(torch.cuda, "Event", lambda enable_timing: event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(kernels, "TURN_S", 0.0)
    return done


def test_a_graph_holds_all_copies(pretended_gpu, monkeypatch):
    captured = []

    def capture(calls):
        captured.extend(calls)
        return lambda: pretended_gpu.append("replay")

    monkeypatch.setattr(kernels, "capture", capture)
    calls = [lambda: None, lambda: None, lambda: None]
    turn, how = timer(calls, CUDA)
    assert how == "CUDA graph" and set(captured) == set(calls)
    assert turn() == 0.002  # 6 ms for three calls
    assert pretended_gpu == ["replay", "record", "replay", "record", "wait"]


def test_what_cannot_be_captured_is_launched(pretended_gpu, monkeypatch):
    def capture(calls):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(kernels, "capture", capture)
    turn, how = timer([lambda: pretended_gpu.append("a"), lambda: pretended_gpu.append("b")], CUDA)
    pretended_gpu.clear()
    assert how == "CUDA events" and turn() == 0.003
    assert pretended_gpu in (
        ["a", "b", "record", "a", "b", "record", "wait"],
        ["b", "a", "record", "b", "a", "record", "wait"],
    )


@pytest.fixture
def gpu() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    return CUDA


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_on_a_gpu(gpu, name, dtype):
    row = measure(name, setting(dtype=dtype), gpu, CEILINGS, 2)
    assert row["error"] is None and row["timer"] == "CUDA graph"
    assert row["speedup"] > 0 and row["median_us"] > 0 and row["max_error"] < 0.05


@pytest.mark.gpu
def test_a_wrong_kernel_gets_no_time(gpu, monkeypatch):
    def slightly_wrong(*inputs):
        right = head_stats.reference(*inputs)
        return right._replace(entropy=1.1 * right.entropy)

    monkeypatch.setattr(head_stats, "launch", slightly_wrong)
    row = measure("head_stats", setting(), gpu, CEILINGS, 2)
    assert row["error"].startswith("ArithmeticError") and row["median_us"] is None


@pytest.mark.gpu
def test_a_call_that_waits_for_the_gpu_cannot_be_captured(gpu):
    numbers = torch.ones(3, device=gpu)
    before = torch.cuda.current_stream()
    turn, how = timer([lambda: numbers.sum().item()], gpu)
    assert how == "CUDA events" and turn() > 0 and torch.cuda.current_stream() == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--size", "3b"], "--size must be nano, base, 7b, with commas between, not '3b'"),
        (["--size", "nano,"], "--size must be"),
        (["--rounds", "0"], "--rounds must be from 1 to 1000"),
        (["--dtype", "int8"], "invalid choice: 'int8'"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["--device", "cuda"], "--device cuda needs a GPU"),
        (["--json", "/nowhere/at/all/x.json"], "there is no folder"),
    ],
)
def test_bad_options(options, says, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=says):
        command.main(["kernels", *options])
    assert cli.main(["bench", "kernels", *options]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_sizes_and_defaults(monkeypatch):
    plans = []
    monkeypatch.setattr(kernels, "run_kernels", lambda plan, *files: plans.append(plan) or 0)
    command.main(["kernels", "--device", "cpu"])
    command.main(["kernels", "--device", "cpu", "--size", "7b, nano", "--size", "nano", "--dtype", "bfloat16"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("quicksilver.kernels.jit.has_triton", lambda: True)
    command.main(["kernels"])
    assert [(plan.device, plan.sizes, plan.dtype) for plan in plans] == [
        ("cpu", ("nano", "base"), "float32"),
        ("cpu", ("7b", "nano"), "bfloat16"),
        ("cuda", ("nano", "base", "7b"), "bfloat16"),
    ]
