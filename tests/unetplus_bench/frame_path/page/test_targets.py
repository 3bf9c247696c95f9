from __future__ import annotations

from typing import Any

import pytest

from unetplus_bench.frame_path.page.targets import table

STRAIGHT = "the straightforward way"
WHAT = {
    "faster than scikit-image": "primal\\_dual 12, 2 threads: times faster than scikit-image, float64, weight 0.05",
    "not so much faster": "chambolle 30, 2 threads: times faster than scikit-image, float64, weight 0.05",
    "on float32": "primal\\_dual 12, 2 threads: times faster than scikit-image, float32, weight 0.05",
    "near": "chambolle 30: mean distance to the converged solution, thousandths",
    "not so near": "primal\\_dual 12: mean distance to the converged solution, thousandths",
    "quick": "primal\\_dual 12, 2 threads on one frame: ms a patch, any bit depth, 4096 x 4096",
    "slow": "chambolle 30, 2 threads on one frame: ms a patch, any bit depth, 256 x 256",
    "a frame each": "primal\\_dual 12, 2 threads with a frame each: ms a patch, 256 x 256",
    "frame": "model\\_int8.xml, a frame by itself, 1024 x 1024: time to that of the engine alone",
    "stream": "model\\_int8.xml, a frame of a stream, 1024 x 1024: time to that of the engine alone",
    "frame beside libraries": f"model\\_int8.xml, a frame by itself, 1024 x 1024: times faster than {STRAIGHT}",
    "stream beside libraries": f"model\\_int8.xml, a frame of a stream, 1024 x 1024: times faster than {STRAIGHT}",
    "fp32 beside libraries": f"model\\_fp32.xml, a frame by itself, 1024 x 1024: times faster than {STRAIGHT}",
    "counts": "openvino fp32: images with as many nuclei as by the straightforward way",
    "other counts": "openvino int8: images with as many nuclei as by the straightforward way",
    "score": "openvino fp32: Kaggle score to the straightforward way's",
    "lower score": "openvino int8: Kaggle score to the straightforward way's",
    "sizes": "time a pixel from 2048 x 2048 on: slowest to fastest",
    "blocks": "peak memory block by block, frames of 4096 to 8192 pixels a side: greatest to least",
    "growth": "resident memory over 10,000 frames, after the first tenth",
    "allocations": "allocated for a frame in the steady state, beyond its result",
}


@pytest.mark.parametrize(
    ("what", "rest"),
    [
        ("faster than scikit-image", "at least 20 | 30.0 | yes"),
        ("not so much faster", "at least 20 | 15.0 | **no**"),
        ("on float32", "at least 20 | 6.0 | **no**"),
        ("near", "at most scikit-image's 2.00 | 1.50 | yes"),
        ("not so near", "at most scikit-image's 2.00 | 2.50 | **no**"),
        ("quick", "at most 0.5 | 0.40 to 0.45 | yes"),
        ("slow", "at most 0.5 | 2.00 to 2.05 | **no**"),
        ("a frame each", "at most 0.5 | 0.30 | yes"),
        ("frame", "at most 1.25 | 1.30 | **no**"),
        ("stream", "at most 1.25 | 1.10 | yes"),
        ("frame beside libraries", "at least 6 | 5.8 | **no**"),
        ("stream beside libraries", "at least 6 | 6.8 | yes"),
        ("fp32 beside libraries", "at least 6 | 6.2 | yes"),
        ("counts", "at least 50 of 53 | 50 of 53 | yes"),
        ("other counts", "at least 50 of 53 | 49 of 53 | **no**"),
        ("score", "within 0.003 | +0.0001 | yes"),
        ("lower score", "within 0.003 | -0.0050 | **no**"),
        ("sizes", "within 10 % | 8.0 % | yes"),
        ("blocks", "flat | +25.0 % | no limit was set"),
        ("growth", "grows by less than 1 % | +1.56 % | **no**"),
        ("allocations", "less than a frame | 0.250 of a float32 frame | yes"),
    ],
)
def test_a_target_stands_beside_what_was_measured(what: str, rest: str, made_results: Any) -> None:
    assert f"| {WHAT[what]} | {rest} | Made-up CPU, 2 cores |" in table(made_results()).splitlines()


def test_nothing_is_told_twice(made_results: Any) -> None:
    lines = table(made_results()).splitlines()
    assert len(set(lines)) == len(lines)


def test_a_target_stands_beside_the_machine_that_was_measured(made_results: Any) -> None:
    measured = f"| {WHAT['stream']} | at most 1.25 | 1.10 | yes |"
    lines = [line for line in table(made_results()).splitlines() if line.startswith(measured)]
    assert lines == [f"{measured} Made-up CPU, 2 cores |", f"{measured} Another CPU, 2 cores |"]
