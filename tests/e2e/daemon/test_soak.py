"""The daemon at the highest rate that it holds; how its memory grows is seen in minutes, not in seconds."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from unetplus_bench.endurance import soak
from unetplus_bench.endurance.stage import Model, Stage

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from unetplus_edge.bundle import Bundle


def test_a_rate_is_found_and_every_frame_accounted_for(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soak, "_STEPS", (0.5, 0.1))  # of what a machine does that is busy with other tests
    stage = Stage(tmp_path, Model(bundle.path, "litert", 1), 4, random.Random(1), 64, print)  # noqa: S311 - no secret
    soak.soak(stage)
    claims = {sentence: claim for sentence, claim in stage.proof.claims.items() if sentence != soak.GROWTH}
    assert not {sentence: claim.examples for sentence, claim in claims.items() if claim.failures}
    assert claims[soak.EXPLAINED].times == 1
    figures = stage.proof.summed_up()
    assert 0 < figures["frames a second, asked for"] <= figures["frames a second, without a pace"]
    assert figures["latency, seconds"]["count"] > 0
    assert figures["MiB at the end"] > 1
