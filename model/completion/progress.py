"""How far an answer has come: what is settled of its text is told after each forward that brought it on."""

import codecs
from dataclasses import dataclass

from ...fim.engine import Watch
from ...fim.types import AnswerProgress, CompletionRequest
from ..decoding.partial_answer import PartialAnswer
from ..decoding.tracing import Tracer
from ..tokenizers.canvas_tokens import CanvasTokens


@dataclass(kw_only=True)
class Teller:
    """Tells watch of one request's answer, with the newest frame of tracer. settles: nothing competes with the answer,
    so that a part of it can be settled before the end."""

    watch: Watch
    tokens: CanvasTokens
    tracer: Tracer
    settles: bool

    @classmethod
    def of(
        cls, watch: Watch | None, request: CompletionRequest, tokens: CanvasTokens, tracer: Tracer
    ) -> "Teller | None":
        """What tells watch of the answer to request; None if nobody watches."""
        if watch is None:
            return None
        return cls(watch=watch, tokens=tokens, tracer=tracer, settles=request.streams)

    def tell(self, row: PartialAnswer, n_forwards: int) -> None:
        """Tell of row after n_forwards."""
        frame = self.tracer.frames[-1] if self.tracer.frames else None
        self.watch(AnswerProgress(settled=self.settled(row) if self.settles else "", steps=n_forwards, frame=frame))

    def settled(self, row: PartialAnswer) -> str:
        """The beginning of row's text that will not change any more. It ends with a whole character."""
        healing = self.tracer.healing
        data = b"".join(map(healing.tokenizer.bytes_of, row.kept(self.tokens, row.n_settled)))
        text = codecs.getincrementaldecoder("utf-8")("replace").decode(healing.own(data))
        return self.tracer.indent + text if text else ""
