"""Values of others become typed ones, or one line that says what is wrong and where."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from msgspec import Meta
from quicksilver.fim.errors import InputError
from quicksilver.fim.typed_values import typed


@dataclass(frozen=True)
class Inner:
    name: str
    size: Annotated[int, Meta(ge=1, le=9)] = 1

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise ValueError("this name is taken")


@dataclass(frozen=True)
class Outer:
    inner: Inner
    kind: Literal["one", "two"] = "one"
    pair: tuple[int, int] = (0, 0)
    share: float | None = None
    names: tuple[str, ...] = ()


def test_what_is_right_is_typed():
    value = {"inner": {"name": "a\ud800"}, "pair": [1, 2], "share": 1, "names": ["x"], "more": None}
    found = typed(value, Outer, "it")
    assert found == Outer(Inner("a\ud800"), pair=(1, 2), share=1.0, names=("x",)) and isinstance(found.share, float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inner": 3}, "it.inner must be an object, not a whole number"),
        ({"inner": {}}, "it.inner.name is missing"),
        ({"inner": {"name": None}}, "it.inner.name must be a string, not null"),
        ({"inner": {"name": "bad"}}, "it.inner: this name is taken"),
        ({"inner": {"name": "a", "size": 0}}, "it.inner.size must be a whole number, at least 1"),
        ({"inner": {"name": "a", "size": 10}}, "it.inner.size must be a whole number, at most 9"),
        ({"inner": {"name": "a", "size": True}}, "it.inner.size must be a whole number, not true or false"),
        ({"inner": {"name": "a", "size": "3"}}, "it.inner.size must be a whole number, not a string"),
        ({"kind": "secret words"}, "it.kind is not one of the known values"),
        ({"pair": [1]}, "it.pair must be a list of 2, not 1"),
        ({"share": []}, "it.share must be a number or null, not a list"),
        ({"names": ["a", 1.5]}, "it.names[1] must be a string, not a number"),
    ],
)
def test_what_is_wrong_is_one_line(change, message):
    with pytest.raises(InputError) as caught:
        typed({"inner": {"name": "a"}} | change, Outer, "it")
    assert str(caught.value) == message


def test_half_characters_are_ignored_in_keys_that_nobody_knows_and_refused_where_no_text_belongs():
    assert typed({"inner": {"name": "a", "\ud800": 1}, "\udfff": 2}, Outer, "it") == Outer(Inner("a"))
    for change in ({"inner": "\ud800"}, {"kind": "\ud800"}, {"share": "\ud800"}, {"names": "\ud800"}):
        with pytest.raises(InputError, match=r"^it"):
            typed({"inner": {"name": "a"}} | change, Outer, "it")
