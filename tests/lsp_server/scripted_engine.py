"""The real engine process around a scripted model (run as a script): every answer is --text, a token a character."""

import argparse
import sys
import time
from types import SimpleNamespace

from quicksilver.cli.serve import main
from quicksilver.fim.errors import CheckpointError
from quicksilver.fim.types import Completion, TraceCell, TraceFrame


class ScriptedInfiller:
    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def name(self) -> str:
        return "scripted"

    def describe(self):
        return {"device": "none", "hash": "0123abcd", "parameters": 0, "choice": "scripted: as scripted"}

    def begin(self, request, is_cancelled, watch=None):
        return SimpleNamespace(completion=self.answer(request), error=None)

    def advance(self, jobs, n_waiting=0):
        pass

    def answer(self, request):
        time.sleep(0.003)
        done = tuple(TraceCell(text=character, state="new") for character in self.text)
        open_cells = tuple(TraceCell(text="", state="masked") for _ in self.text)
        frames = (
            TraceFrame(step=1, elapsed_ms=1.0, cells=done[:1] + open_cells[1:]),
            TraceFrame(step=2, elapsed_ms=2.0, cells=done),
        )
        return Completion(
            text=self.text,
            range=request.hole.replaced,
            confidence=0.75,
            finish_reason="stop",
            steps=2,
            n_tokens=len(self.text),
            model=self.name,
            timings_ms={"prefill": 1.0, "denoise": 2.0, "engine": 3.0},
            trace=frames if request.trace else (),
        )


def run() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", default="self.misses = 0")
    parser.add_argument("--broken", action="store_true")
    scripted, rest = parser.parse_known_args()

    def load(checkpoint, n_threads):
        if scripted.broken:
            raise CheckpointError("the checkpoint is damaged: scripted")
        return ScriptedInfiller(scripted.text)

    return main(rest, load=load)


if __name__ == "__main__":
    sys.exit(run())
