"""From planned rows to a result."""

from __future__ import annotations

import textwrap
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from unetplus_bench.measuring import measure as room
from unetplus_bench.measuring.plan import Planned
from unetplus_bench.measuring.rounds import Schedule
from unetplus_bench.results import NetworkRecord, Row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unetplus_bench.results import BenchmarkResult
    from unetplus_edge.bundle import Bundle

QUICK = Schedule(rounds=3, warm_up=0, calls=2)

SUBJECT = """
import threading, time
from contextlib import contextmanager
from dataclasses import dataclass
from unetplus_bench.measuring.worker import Timed

def spin():
    while True:
        pass

@dataclass(frozen=True)
class Told:
    facts: dict
    busy: bool = False

    @contextmanager
    def open(self):
        if self.busy:
            threading.Thread(target=spin, daemon=True).start()
        scores = {"average_iou_mean": 0.5, "kaggle_score": 0.4}
        yield Timed(lambda: {"net": 2.0}, self.facts, lambda images: scores)
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes subjects that tell the facts that they are given."""
    (tmp_path / "told_subjects.py").write_text(textwrap.dedent(SUBJECT))
    monkeypatch.syspath_prepend(tmp_path)
    return lambda busy=False, **facts: import_module("told_subjects").Told(facts, busy)


def measured(*planned: Planned, schedule: Schedule = QUICK) -> BenchmarkResult:
    return room.measure(planned, schedule, command="unetplus-bench")


def row(**facts: Any) -> Row:
    return Row(**{"name": "row", "scope": "net", "engine": "openvino", **facts})


@pytest.mark.parametrize(("executed", "verified", "scored"), [("int8", True, 1), ("bf16", False, 0)])
def test_only_what_computes_as_it_was_verified_is_called_verified(
    paper_bundle: Bundle,
    paper: Any,
    with_conversion: Any,
    tried: Any,
    told: Any,
    executed: str,
    verified: bool,
    scored: int,
) -> None:
    bundle = with_conversion(paper_bundle, paper("a.xml"), "openvino", "int8", tried("openvino", "int8"))
    subject = told(stored_precision="int8", executed_precision=executed)
    planned = Planned(row(file_sha256=bundle.manifest.conversions[0].sha256), subject, bundle.manifest)
    (found,) = measured(planned).rows
    assert (found.verified, len(found.accuracy)) == (verified, scored)
    assert found.stages == {"net": 2.0}


def test_rows_keep_their_order_and_those_that_are_not_opened_their_reason(told: Any) -> None:
    planned = [
        Planned(row(name="a", error="no file"), None),
        Planned(row(name="b"), told()),
        Planned(row(name="c"), told()),
    ]
    result = measured(*planned)
    assert [(one.name, one.error, one.rounds is None) for one in result.rows] == [
        ("a", "no file", True),
        ("b", None, False),
        ("c", None, False),
    ]


def test_scores_of_the_run_stand_in_place_of_the_manifests(paper_bundle: Bundle, told: Any) -> None:
    manifest = paper_bundle.manifest
    subject = told(stored_precision="fp32", executed_precision="fp32")
    planned = Planned(row(engine="keras", file_sha256=manifest.keras_sha256), subject, manifest)
    (found,) = measured(planned, schedule=Schedule(rounds=1, warm_up=0, calls=1, images="test_images")).rows
    assert [(one.images, one.kaggle_score) for one in found.accuracy] == [("test_images", 0.4)]


def test_a_row_that_works_out_of_its_turn_is_warned_of(told: Any) -> None:
    result = measured(Planned(row(name="calm"), told()), Planned(row(name="busy"), told(busy=True)))
    assert [warning.split()[0] for warning in result.warnings if "of a core busy while other rows" in warning] == [
        "busy"
    ]


class Meter:
    """Six joules a turn."""

    joules = 6.0

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_energy_is_of_a_patch(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PowerMeter", Meter)
    network = NetworkRecord(name="unet_b8", side=64)
    patches, frames = measured(
        Planned(row(name="patches", batch=5, network=network), told()),
        # 64 + 36 pixels high and 2 * 64 + 2 wide: 2 x 3 patches.
        Planned(row(name="frames", scope="frame", frame_shape=(100, 130), network=network), told()),
    ).rows
    assert patches.energy_per_patch == pytest.approx(6.0 / (2 * 5))
    assert frames.energy_per_patch == pytest.approx(6.0 / (2 * 6))
