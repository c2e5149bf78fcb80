"""A tiny training run as a program of its own: what tests kill, resume, and start with torchrun."""

import sys
from pathlib import Path

import torch
from quicksilver.model.config import DenoiserConfig
from quicksilver.model.network.denoiser import Denoiser
from quicksilver.model.tokenizers.code_tokenizer import CodeTokenizer
from quicksilver.training.corpus.corpus import CorpusDocument
from quicksilver.training.data.samples import SampleConfig, SampleStream
from quicksilver.training.run.distributed import joining_ranks
from quicksilver.training.run.trainer import TrainConfig, Trainer

TEXT = "def add(a, b):\n    return a + b\n\n\nfor i in range(10):\n    if i % 2 == 0:\n        print(i)\n" * 8


def main(folder: Path, n_steps: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokenizer = CodeTokenizer.train([TEXT], 300)
    shape = DenoiserConfig(
        vocab_size=tokenizer.vocab_size, n_layers=2, width=32, n_heads=2, n_kv_heads=1, head_size=16, ffn_width=48,
        copy_size=16, n_context=64, n_canvas=8,
    )  # fmt: skip
    stream = SampleStream([CorpusDocument("p", "a.py", TEXT)], tokenizer, SampleConfig(n_context=32, n_canvas=8))
    config = TrainConfig(
        steps=n_steps, batch_tokens=128, micro_tokens=64, stages=((0.0, 32), (0.5, 64)), warmup_steps=4,
        save_minutes=0.0, valid_steps=7, valid_samples=2,
    )  # fmt: skip
    with joining_ranks("cpu") as (ranks, _):
        trainer = Trainer(Denoiser(shape), stream, stream, config, folder, ranks=ranks)
        trainer.resume()
        print(trainer.run(show=False), flush=True)
        trainer.finish(folder / "checkpoint")
    if gloo := [name for name in thread_names() if "gloo" in name]:
        sys.exit(f"threads outlive their group: {gloo}")  # they abort the process when it ends at the wrong moment


def thread_names() -> list[str]:
    """Of this process; none where there is no /proc."""
    return [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
