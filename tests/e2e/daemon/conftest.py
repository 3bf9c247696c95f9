"""Plays parts of the endurance run with a tiny real model."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from unetplus_bench.endurance.stage import Model, Stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unetplus_edge.bundle import Bundle


class Play(Protocol):
    def __call__(self, part: Callable[[Stage], None], count: int, aside: str = ...) -> dict[str, Any]: ...


@pytest.fixture
def play(bundle: Bundle, tmp_path: Path) -> Play:
    """Plays a part of the endurance run a few times; returns what it has counted and measured.

    A claim on how long something takes is put `aside`: the machine may be busy with other tests.
    """

    def played(part: Callable[[Stage], None], count: int, aside: str = "") -> dict[str, Any]:
        chance = random.Random(count)  # noqa: S311 - no secret
        side = bundle.manifest.recipe.patch_side
        stage = Stage(tmp_path, Model(bundle.path, "litert", 1), count, chance, side, print)
        part(stage)
        claims = {sentence: claim for sentence, claim in stage.proof.claims.items() if sentence != aside}
        assert claims
        assert not {sentence: claim.examples for sentence, claim in claims.items() if claim.failures}
        return stage.proof.summed_up()

    return played
