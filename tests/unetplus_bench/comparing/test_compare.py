"""Comparing two measurements: what is flagged, what is not, and what is not judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_bench.comparing.compare import compare_results, matched
from unetplus_bench.comparing.judged_row import MIN_ROUNDS
from unetplus_bench.results import AccuracyRecord, NetworkRecord
from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from unetplus_bench.comparing.compare import Comparison
    from unetplus_bench.comparing.judged_row import ComparedRow

FEW = ("keras fp32", "litert int8", "openvino int8")


def row_of(comparison: Comparison, name: str) -> ComparedRow:
    return next(row for row in comparison.rows if row.name == name)


def a_summary(ms: float) -> dict[str, Any]:
    return {"rounds": None, "summary": {"p50": ms}}


@pytest.mark.parametrize("seed", range(10))
def test_equal_engines_on_a_machine_that_drifts_are_not_flagged(made_up, seed):
    found = compare_results(made_up(100 + seed, rounds=20, only=FEW), made_up(200 + seed, rounds=20, only=FEW))
    assert [row.name for row in (*found.regressions, *found.improvements)] == []


@pytest.mark.parametrize("seed", range(10))
def test_an_engine_that_is_15_percent_slower_is_flagged_and_no_other_is(made_up, seed):
    slower = made_up(400 + seed, {"openvino int8": 1.15}, rounds=20, only=FEW)
    found = compare_results(made_up(300 + seed, rounds=20, only=FEW), slower)
    assert [row.name for row in found.regressions] == ["openvino int8"]
    assert row_of(found, "openvino int8").ratio == pytest.approx(1.15, abs=0.06)


def test_an_engine_that_is_15_percent_faster_is_an_improvement(made_up):
    found = compare_results(made_up(1, {"litert int8": 1.15}), made_up(2))
    assert [row.name for row in found.improvements] == ["litert int8"]
    assert found.regressions == ()


def test_times_alone_are_flagged_on_a_drifting_machine_which_is_why_they_are_not_judged(made_up):
    def flags(**how: bool) -> int:
        return sum(
            bool(compare_results(made_up(500 + seed, only=FEW), made_up(600 + seed, only=FEW), **how).regressions)
            for seed in range(5)
        )

    assert flags(judge_times=True) > 0
    assert flags() == 0


def test_times_are_judged_where_that_is_asked_for(made_up):
    quiet = {"drift": 0.0}
    found = compare_results(made_up(1, **quiet), made_up(2, {"openvino int8": 1.15}, **quiet), judge_times=True)
    assert [row.name for row in found.regressions] == ["openvino int8"]
    assert {row.kind for row in found.rows} == {"of times"}
    assert found.yardstick is None


def test_the_ratio_is_that_of_the_medians_of_each_round_to_the_yardstick(made_up):
    a, b = made_up(1), made_up(2)

    def by_hand(result: Any) -> float:
        times = {row.name: row.rounds for row in result.rows}
        return float(
            np.median(
                [
                    np.median(ours) / np.median(theirs)
                    for ours, theirs in zip(times["litert int8"], times["keras fp32"], strict=True)
                ]
            )
        )

    row = row_of(compare_results(a, b), "litert int8")
    assert row.kind == "to the yardstick"
    assert row.ratio == pytest.approx(by_hand(b) / by_hand(a))
    assert row.low < row.ratio < row.high


def test_a_machine_twice_as_slow_changes_the_yardstick_alone(made_up):
    a = made_up(1)
    slow = tuple(
        row.model_copy(update={"rounds": tuple(tuple(2 * t for t in times) for times in row.rounds)}) for row in a.rows
    )
    found = compare_results(a, a.model_copy(update={"rows": slow}))
    assert row_of(found, "litert int8").ratio == pytest.approx(1)
    yardstick = row_of(found, "keras fp32")
    assert (yardstick.ratio, yardstick.verdict) == (pytest.approx(2), "not judged")
    assert "drift of the machine" in yardstick.reason


def test_another_yardstick_can_be_named(made_up):
    a, b = made_up(1, {"keras fp32": 3.0}), made_up(2)
    found = compare_results(a, b, yardstick="litert fp32")
    assert found.yardstick == "litert fp32"
    assert [row.name for row in found.improvements] == ["keras fp32"]


def test_keras_is_the_yardstick_of_files_that_name_no_reference(made_up):
    found = compare_results(made_up(1, reference=None), made_up(2, reference=None))
    assert found.yardstick == "keras fp32"


def test_without_a_yardstick_nothing_is_judged(made_up):
    def without(result: Any) -> Any:
        return result.model_copy(update={"reference": None, "rows": result.rows[1:]})

    found = compare_results(without(made_up(1)), without(made_up(2, {"litert int8": 2.0})))
    assert {row.verdict for row in found.rows} == {"not judged"}
    assert "no yardstick" in found.rows[0].reason
    assert row_of(found, "litert int8").ratio > 1.2


def test_a_yardstick_that_is_not_in_both_files_is_an_error_that_names_those_that_are(made_up):
    with pytest.raises(InputError, match="stardist is not a row of both files; name one of: keras fp32, litert fp32"):
        compare_results(made_up(1), made_up(2), yardstick="stardist")


def test_a_row_of_other_rounds_than_the_yardsticks_is_not_judged(made_up):
    b = made_up(2)
    alone = b.rows[2].model_copy(update={"rounds": b.rows[2].rounds[:-1]})
    found = compare_results(made_up(1), b.model_copy(update={"rows": (*b.rows[:2], alone, *b.rows[3:])}))
    assert row_of(found, "litert int8").reason == "the yardstick was not measured in the same rounds"


def test_a_row_of_frames_is_judged_by_the_same_yardstick(made_up):
    frames = {"openvino int8": {"scope": "frame", "frame_shape": (512, 512)}}
    found = compare_results(made_up(1, rows=frames), made_up(2, {"openvino int8": 1.2}, rows=frames))
    assert [(row.name, row.kind) for row in found.regressions] == [("openvino int8", "to the yardstick")]


def test_a_service_that_did_not_take_turns_is_not_judged_and_only_compared_at_its_own_rate(made_up):
    def served(rate):
        camera = {"rate": rate, "seconds": 9.0, "processed": 90}
        return {"openvino int8": {"scope": "camera", "frame_shape": (512, 512), "camera": camera}}

    found = compare_results(made_up(1, rows=served(10)), made_up(2, {"openvino int8": 2.0}, rows=served(10)))
    assert row_of(found, "openvino int8").reason == "the yardstick was not measured in the same rounds"
    found = compare_results(made_up(1, rows=served(10)), made_up(2, rows=served(20)))
    assert "openvino int8" in found.only_a
    assert "openvino int8 is not compared: frames a second 10.0 before and 20.0 after" in found.differences


def test_on_another_machine_ratios_are_shown_and_not_judged(made_up):
    other = {"cpu": {"model": "Another CPU", "cores": {"usable": 2}}}
    found = compare_results(made_up(1), made_up(2, {"litert int8": 2.0}, device=other))
    assert found.yardstick is None
    assert {row.verdict for row in found.rows} == {"not judged"}
    assert "the devices differ" in found.rows[0].reason
    assert "the machine: cpu.model Made-up CPU before, Another CPU after" in found.differences


@pytest.mark.parametrize("rounds", [1, MIN_ROUNDS - 1])
def test_a_few_rounds_have_no_interval_and_no_verdict(made_up, rounds):
    found = compare_results(made_up(1, rounds=rounds), made_up(2, {"litert int8": 2.0}, rounds=12))
    row = row_of(found, "litert int8")
    assert (row.low, row.high, row.verdict) == (None, None, "not judged")
    assert "too few" in row.reason


def test_another_tools_summary_is_compared_without_an_interval_and_never_flagged(made_up):
    found = compare_results(
        made_up(1, rows={"litert int8": a_summary(4.0)}), made_up(2, rows={"litert int8": a_summary(6.0)})
    )
    row = row_of(found, "litert int8")
    assert (row.ratio, row.low, row.high, row.verdict) == (1.5, None, None, "not judged")
    assert "summary" in row.reason


def test_a_row_that_failed_says_so(made_up):
    failed = {"litert int8": {"rounds": None, "error": "no such file"}}
    row = row_of(compare_results(made_up(1), made_up(2, rows=failed)), "litert int8")
    assert (row.ratio, row.b_ms, row.reason) == (None, None, "it was not measured: no such file")


def test_noise_past_the_limit_is_unclear_and_not_the_same(made_up):
    def noisy(seed: int, factor: float) -> Any:
        return made_up(seed, {"litert int8": factor}, rounds=5, noise=0.2)

    assert row_of(compare_results(noisy(1, 1.0), noisy(2, 1.1)), "litert int8").verdict == "unclear"


def test_a_measurement_is_the_same_as_itself(made_up):
    a = made_up(1, noise=0.005, rounds=40)
    found = compare_results(a, a, limit=0.05)
    assert {row.verdict for row in found.rows if row.name != found.yardstick} == {"same"}
    assert found.differences == ()


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"scope": "net+copies"}, r"the scope is net in the first, net\+copies in the second"),
        ({"network": NetworkRecord(name="unet_b16")}, "the network is unet_plus_tc_b8 in the first, unet_b16 in the"),
        ({"device": "Made-up GPU"}, "the device is cpu in the first, Made-up GPU in the second"),
        ({"batch": 4}, "precision, batch, threads, frame or rate differ in every row"),
    ],
)
def test_files_without_a_row_in_common_are_refused_with_the_reason(made_up, facts, told):
    a = made_up(1)
    rows = tuple(row.model_copy(update=facts) for row in a.rows)
    with pytest.raises(InputError, match=f"no row in common: {told}"):
        compare_results(a, a.model_copy(update={"rows": rows}))


def test_a_limit_of_nothing_is_refused(made_up):
    with pytest.raises(InputError, match="0 is no limit"):
        compare_results(made_up(1), made_up(2), limit=0)


def test_rows_are_matched_by_what_they_are_and_not_by_their_names(made_up):
    a, b = made_up(1), made_up(2)
    renamed = tuple(row.model_copy(update={"name": f"new {row.name}"}) for row in reversed(b.rows))
    assert [(x.name, y.name) for x, y in matched(a.rows, renamed)] == [(row.name, f"new {row.name}") for row in a.rows]


def test_rows_of_the_same_thing_are_told_apart_by_their_names(made_up):
    a = made_up(1).rows
    twins = (*a, a[0].model_copy(update={"name": "keras fp32 again"}))
    assert [(x.name, y.name) for x, y in matched(twins, twins)] == [(row.name, row.name) for row in twins]


def test_what_is_in_one_file_alone_is_named(made_up):
    a, b = made_up(1), made_up(2)
    found = compare_results(a, b.model_copy(update={"rows": b.rows[:-1]}))
    assert (found.only_a, found.only_b) == (("openvino int8",), ())


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"library": "litert 1.1"}, "the computing: library litert 1.0 before, litert 1.1 after"),
        (
            {"file_sha256": "f" * 64},
            "the file of litert int8 is another one: sha256 000000000000 before, ffffffffffff after",
        ),
        ({"threads": 1}, "litert int8 is not compared: threads 2 before and 1 after"),
        (
            {"accuracy": (AccuracyRecord(images="validation_images", average_iou=0.7171, kaggle_score=0.5),)},
            "Kaggle score of litert int8 on the validation images: 0.5671 before, 0.5000 after",
        ),
        ({"accuracy": ()}, "litert int8 is scored on the validation images in the first file alone"),
    ],
)  # fmt: skip
def test_what_differs_in_a_row_is_said(made_up, changed, sentence):
    assert compare_results(made_up(1), made_up(1, rows={"litert int8": changed})).differences == (sentence,)


def test_library_versions_and_the_commit_differ_in_words_and_clocks_do_not(made_up):
    device = {
        "system": {"kernel": "6.1"},
        "cpu": {"model": "Made-up CPU", "cores": {"usable": 2}, "clock_mhz": [900.0]},
        "libraries": {"numpy": "2.5.0"},
    }
    found = compare_results(made_up(1, commit="abc"), made_up(1, commit="abd", device=device))
    assert found.differences == (
        "the code: commit abc before, abd after",
        "the machine: libraries.numpy 2.4.6 before, 2.5.0 after",
    )


def disturbed(share: float) -> dict[str, Any]:
    """Return a device whose 200 processor seconds went to others by a share."""
    names = ("busy", "idle", "stolen", "own")

    def load(busy: float, idle: float, own: float) -> dict[str, Any]:
        return {"processor_seconds": dict(zip(names, (busy, idle, 0.0, own), strict=True))}

    return {
        "cpu": {"model": "Made-up CPU", "cores": {"usable": 2}},
        "load": load(1000, 500, 10),
        "after": {"load": load(1000 + 100 + 200 * share, 500 + 100 - 200 * share, 110)},
    }


def test_nothing_is_judged_that_was_measured_beside_other_programs(made_up):
    def found(share: float) -> Comparison:
        slower = made_up(2, {"openvino int8": 1.4}, rounds=20, only=FEW, device=disturbed(share))
        return compare_results(made_up(1, rounds=20, only=FEW, device=disturbed(0.01)), slower)

    assert [row.name for row in found(0.05).regressions] == ["openvino int8"]
    busy = found(0.4)
    assert {row.verdict for row in busy.rows} == {"not judged"}
    assert "1 % in A and 40 % in B" in row_of(busy, "openvino int8").reason
    assert row_of(busy, "openvino int8").ratio == pytest.approx(1.4, abs=0.1)


def test_rounds_that_differ_much_among_themselves_are_unclear_even_far_past_the_limit(made_up):
    found = compare_results(
        made_up(1, rounds=8, noise=0.25, only=FEW), made_up(2, {"litert int8": 2.5}, rounds=8, noise=0.25, only=FEW)
    )
    row = row_of(found, "litert int8")
    assert row.low > 1.05
    assert row.verdict == "unclear"
