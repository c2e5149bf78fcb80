"""How a published checkpoint loads: seconds, memory, and one step, each in a fresh process.

Without a folder, one of random weights is written in DreamOn's layout (Qwen2.5's names, shards of about 4 GB): sizes
alone decide. Memory has two figures: what the process must have (anonymous), and what it only maps from the files,
which the system may drop and read again.
"""

import json
import multiprocessing
import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from ...fim.errors import EngineError
from ...fim.terminal.console import open_console
from ...fim.terminal.options import Option, model_option
from ...fim.types import CompletionRequest, Hole
from ...model.config import DenoiserConfig
from ...model.published.backbone import weight_shapes
from ...model.published.families import FAMILIES
from ...model.published.infiller import load_published
from ...model.published.known import QWEN2_7B
from ...model.published.quantised import WeightFormat
from ...model.requests import never
from ..runner import heading, plain_table, write_result

SHAPES = {
    "0.5b": replace(
        QWEN2_7B, vocab_size=151_936, n_layers=24, width=896, n_heads=14, n_kv_heads=2, head_size=64, ffn_width=4864
    ),
    "1.5b": replace(QWEN2_7B, vocab_size=151_936, width=1536, n_heads=12, n_kv_heads=2, ffn_width=8960),
    "3b": replace(QWEN2_7B, vocab_size=151_936, n_layers=36, width=2048, n_heads=16, n_kv_heads=2, ffn_width=11_008),
    "7b": QWEN2_7B,
}
FORMATS: dict[str, WeightFormat | None] = {"as-stored": None, "int8": "int8", "fp8": "fp8"}
SHARD_BYTES = 4_000_000_000
HOLE = Hole(
    prefix="def mean(numbers):\n    return ", suffix="\n", language="python", replaced=(30, 30), multiline=False
)
SPECIALS = ("<|endoftext|>", "<|beginoftext|>", "<|mask|>", "<|expand|>")


@dataclass(frozen=True, kw_only=True)
class PublishedLoadPlan:
    """What is loaded, and how."""

    model: Annotated[Path | None, model_option("a folder with a published checkpoint (default: random weights)")] = None
    shape: Annotated[str, Option("of those", choices=tuple(SHAPES))] = "0.5b"
    weights: Annotated[
        tuple[str, ...], Option(f"of {', '.join(FORMATS)}, with commas between", commas=True, choices=tuple(FORMATS))
    ] = ("as-stored",)
    device: Annotated[str | None, Option("(default: a GPU where there is one)", choices=("cpu", "cuda"))] = None
    keeps: Annotated[
        Path | None, Option("write the random checkpoint here and leave it", flag="--keep", metavar="FOLDER")
    ] = None


def run_load(plan: PublishedLoadPlan, json_file: Path | None) -> int:
    """Measure, print a table, write JSON. Raises EngineError if a process dies."""
    if plan.model is not None:
        rows = [_apart(plan.model, FORMATS[name], plan.device) for name in plan.weights]
    else:
        with tempfile.TemporaryDirectory(prefix="quicksilver-published-") as temporary:
            folder = plan.keeps or Path(temporary)
            write_random(folder, SHAPES[plan.shape])
            rows = [_apart(folder, FORMATS[name], plan.device) for name in plan.weights]
    result = {
        **heading("published-load"),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "shape": plan.shape if plan.model is None else str(plan.model.name),
        "rows": rows,
    }
    show(result)
    write_result(result, json_file)
    return 0


def write_random(folder: Path, shape: DenoiserConfig) -> None:
    """A DreamOn of random bfloat16 weights in shards, with a tokenizer of bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = Tokenizer(models.BPE({text: i for i, text in enumerate(alphabet)}, []))
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    whole = json.loads(bpe.to_str())
    first = len(alphabet)
    whole["added_tokens"] = [
        {"id": first + i, "content": text, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False}
        for i, text in enumerate(SPECIALS)
    ]  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
    config = {
        "model_type": "Dream", "vocab_size": shape.vocab_size, "hidden_size": shape.width,
        "num_hidden_layers": shape.n_layers, "num_attention_heads": shape.n_heads, "head_dim": shape.head_size,
        "num_key_value_heads": shape.n_kv_heads, "intermediate_size": shape.ffn_width,
        "max_position_embeddings": shape.n_context, "rope_theta": shape.rope_theta, "rms_norm_eps": shape.norm_eps,
        "tie_word_embeddings": shape.tied, "eos_token_id": first, "bos_token_id": first + 1, "mask_token_id": first + 2,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    theirs = _their_names(shape)
    rng, part, n_bytes, places, n_files = torch.Generator().manual_seed(0), {}, 0, {}, 0
    for ours, size in weight_shapes(shape).items():
        tensor = torch.empty(size, dtype=torch.bfloat16).normal_(0.0, 0.02, generator=rng)
        part[theirs[ours]] = tensor if len(size) == 2 else tensor + 1
        n_bytes += tensor.nbytes
        if n_bytes > SHARD_BYTES:
            places |= _save(folder, part, n_files)
            part, n_bytes, n_files = {}, 0, n_files + 1
    places |= _save(folder, part, n_files)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}), encoding="utf-8")


def _their_names(shape: DenoiserConfig) -> dict[str, str]:
    names = next(family for family in FAMILIES if family.name == "dreamon").names
    theirs = {ours: theirs for theirs, ours in names.whole.items()}
    for i in range(shape.n_layers):
        theirs |= {f"blocks.{i}.{ours}": f"model.layers.{i}.{rest}" for rest, ours in names.block.items()}
    return theirs


def _save(folder: Path, part: dict[str, torch.Tensor], number: int) -> dict[str, str]:
    file = f"model-{number + 1:05}.safetensors"
    save_file(part, folder / file)
    return dict.fromkeys(part, file)


def _apart(folder: Path, weights: WeightFormat | None, device: str | None) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(theirs, folder, weights, device))
    process.start()
    theirs.close()
    try:
        row = ours.recv()
    except EOFError:
        raise EngineError(f"loading {folder} ended the process: it may need more memory than there is") from None
    finally:
        process.join()
    if "error" in row:
        raise EngineError(row["error"])
    return row


def _measure(pipe: Any, folder: Path, weights: WeightFormat | None, device: str | None) -> None:  # noqa: ANN401
    try:
        before = _memory()
        start_s = time.perf_counter()
        infiller = load_published(folder, device=None if device is None else torch.device(device), weights=weights)
        load_s, loaded = time.perf_counter() - start_s, _memory()
        request = CompletionRequest(hole=HOLE, budget_ms=None, drafts=0, max_evaluations=1, max_tokens=8)
        step_s = []
        for _ in range(2):  # the first one reads mapped weights from the disk
            start_s = time.perf_counter()
            infiller.complete(request, never)
            step_s.append(time.perf_counter() - start_s)
        after = _memory()
        pipe.send(
            {
                "weights": weights or "as stored",
                "parameters": infiller.published.shape.n_parameters,
                "file_gb": round(sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e9, 2),
                "sha256": infiller.published.sha256,
                "load_s": round(load_s, 1),
                "first_answer_s": round(step_s[0], 1),
                "answer_s": round(step_s[1], 1),
                "anonymous_gb": round((after["RssAnon"] - before["RssAnon"]) / 1e9, 2),
                "mapped_gb": round(max(loaded["RssFile"], after["RssFile"]) / 1e9, 2),
                "peak_gb": round(after["VmHWM"] / 1e9, 2),
            }
        )
    except Exception as error:  # the parent reports it in one line
        pipe.send({"error": f"{type(error).__name__}: {error}"})


def _memory() -> dict[str, int]:
    """Bytes of this process, by the kernel's names (Linux)."""
    found = {}
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name in ("VmHWM", "RssAnon", "RssFile"):
            found[name] = 1024 * int(value.split()[0])
    return found


def show(result: dict[str, Any]) -> None:
    """Print a line for each format of weights."""
    title = f"quicksilver bench published: {result['shape']}, on a machine with {result['memory_gb']} GB"
    table = plain_table(title)
    columns = {
        "weights": "weights", "file_gb": "files GB", "load_s": "load s", "first_answer_s": "first answer s",
        "answer_s": "then s", "anonymous_gb": "own memory GB", "mapped_gb": "mapped GB", "peak_gb": "peak GB",
    }  # fmt: skip
    for label in columns.values():
        table.add_column(label, justify="left" if label == "weights" else "right")
    for row in result["rows"]:
        table.add_row(*(str(row[key]) for key in columns))
    open_console().print(table)
