"""How a conversation is told to a model: by the Jinja template that was published with it.

A model folder may come from anybody, so templates run in a sandbox and see no message's text: it is put in afterwards.
So a message that spells a special token, or a piece of a template, is plain text.
"""

import json
import re
import secrets
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from ...fim.errors import InputError
from ...fim.text.line_breaks import with_lf
from ...fim.types import ChatMessage
from ..storage.folder_files import excerpt
from .marks import MAX_SPECIALS
from .rules import is_token_id

if TYPE_CHECKING:
    from jinja2 import Template

MAX_CHARS = 2**17  # of a template; the longest in use have 20,000
MAX_RENDERED = 2**20  # characters that a template may add to the messages
CHAT_ENDS = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>", "<turn|>")


@dataclass(frozen=True, kw_only=True)
class ChatTemplate:
    """A template, the ids of the special tokens that it may spell, and the texts of those that begin and end a text."""

    source: str
    specials: Mapping[str, int]
    bos: str = ""
    eos: str = ""

    @classmethod
    def of(cls, value: object, vocab_size: int) -> "ChatTemplate":
        """What `as_json` gave. Raises ValueError."""
        if not isinstance(value, Mapping):
            raise ValueError("it is not an object")
        specials = value.get("specials")
        texts = [value.get("template"), value.get("bos", ""), value.get("eos", "")]
        if not all(isinstance(text, str) and len(text) <= MAX_CHARS for text in texts) or not texts[0]:
            raise ValueError("its texts are missing or too long")
        if (
            not isinstance(specials, Mapping)
            or len(specials) > MAX_SPECIALS
            or not all(isinstance(text, str) and text and is_token_id(i, vocab_size) for text, i in specials.items())
        ):
            raise ValueError("it does not name the special tokens")
        return cls(source=texts[0], specials=dict(specials), bos=texts[1], eos=texts[2])

    def as_json(self) -> dict[str, Any]:
        """For a config.json."""
        return {"template": self.source, "specials": dict(self.specials), "bos": self.bos, "eos": self.eos}

    def fit(self, messages: Sequence[ChatMessage], encode: Callable[[str], list[int]], n_most: int) -> list[int]:
        """The tokens of a conversation that the model is to go on with, at most n_most: the oldest turns give way, but
        neither what the system says at the beginning nor the last turn. encode gives the tokens of a plain text.

        Raises InputError if these two are too long, or if the template does not take such a conversation.
        """
        n_system = next((i for i, each in enumerate(messages) if each.role != "system"), len(messages) - 1)
        last = len(messages) - 1
        begins = [n_system, *(i for i in range(n_system + 1, last) if messages[i].role == "user"), last]

        def since(begin: int) -> list[int]:
            return self.tokens([*messages[:n_system], *messages[begin:]], encode)

        tokens = since(begins[0])
        if len(tokens) <= n_most:
            return tokens
        first = bisect_left(begins, x=True, lo=1, key=lambda begin: len(since(begin)) <= n_most)
        tokens = since(begins[min(first, len(begins) - 1)])
        if len(tokens) <= n_most:
            return tokens
        raise InputError(
            f"the conversation's last turn and its system message have {len(tokens):,} tokens, and {n_most:,} fit: "
            "send less"
        )

    def tokens(self, messages: Sequence[ChatMessage], encode: Callable[[str], list[int]]) -> list[int]:
        """The tokens of a whole conversation, up to where the model's turn begins. Raises InputError."""
        found: list[int] = []
        text = ""
        for piece, is_special in self._pieces(messages):
            if not is_special:
                text += piece
                continue
            found += [*(encode(text) if text else ()), self.specials[piece]]
            text = ""
        return [*found, *(encode(text) if text else ())]

    def _pieces(self, messages: Sequence[ChatMessage]) -> list[tuple[str, bool]]:
        """The texts of the conversation, and whether each is a special token, which messages cannot hold."""
        key = secrets.token_hex(16)
        rendered = self._rendered([{"role": each.role, "content": f"{key}{i}x"} for i, each in enumerate(messages)])
        found: list[tuple[str, bool]] = []
        for i, part in enumerate(re.split(rf"{key}(\d+)x", rendered)):
            if i % 2:
                found.append((with_lf(messages[int(part)].content), False))
            elif self._special is None:
                found.append((part, False))
            else:
                found += [(piece, j % 2 == 1) for j, piece in enumerate(self._special.split(part)) if piece]
        return found

    @cached_property
    def _special(self) -> re.Pattern[str] | None:
        longest_first = sorted(self.specials, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, longest_first))})") if longest_first else None

    def _rendered(self, messages: list[dict[str, str]]) -> str:
        found: list[str] = []
        n_chars = 0
        try:
            for piece in self._template.generate(
                messages=messages, add_generation_prompt=True, bos_token=self.bos, eos_token=self.eos, tools=None
            ):
                found.append(piece)
                n_chars += len(piece)
                if n_chars > MAX_RENDERED:
                    raise ValueError("it never ends")
        except Exception as error:  # a template raises whatever it likes
            raise InputError(f"the model's chat template refused the conversation: {excerpt(error)}") from error
        return "".join(found)

    @cached_property
    def _template(self) -> "Template":
        from jinja2 import TemplateError  # imported late: only conversations need it
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def refuse(message: object) -> NoReturn:
            raise TemplateError(str(message))

        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
        environment.globals |= {"raise_exception": refuse, "strftime_now": time.strftime}
        return environment.from_string(self.source)
