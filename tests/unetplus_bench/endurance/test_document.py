from __future__ import annotations

import re
from pathlib import Path

from unetplus_bench.endurance.parts import PARTS

PAGE = Path(__file__).parents[3] / "docs" / "endurance.md"


def test_the_document_explains_every_part_in_the_order_in_which_they_are_played() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE) == list(PARTS)


def test_the_full_counts_are_those_that_were_promised() -> None:
    promised = {"kill": 50, "crash": 50, "stop": 20, "server": 20, "soak": 20 * 60}
    assert {name: PARTS[name].full >= count for name, count in promised.items()} == dict.fromkeys(promised, True)
    assert PARTS["soak"].side == 512
