"""The places of examples/pictures fit the programs: each is there once, and nothing but it is cut out."""

import pytest
from coder_pictures import PROGRAMS, Place


@pytest.mark.parametrize("place", Place.all(), ids=lambda place: place.name)
def test_each_place_is_in_its_program_once(place):
    left, right = place.cut()
    whole = (PROGRAMS / place.file).read_text(encoding="utf-8")
    assert left + place.typed + place.gone + right == whole
    assert left.rpartition("\n")[2] + right.partition("\n")[0] == left.rpartition("\n")[2]  # typed at a line's end
