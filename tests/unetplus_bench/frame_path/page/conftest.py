"""Made-up result files of preprocessing, path, lanes and grids, in which every number is easy to follow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from pathlib import Path


class MakeResults(Protocol):
    def __call__(self, *, without: str = "", **changes: Any) -> Path: ...


def _common(module: str) -> dict[str, Any]:
    return {
        "command": f"python -m {module} --out here.json",
        "commit": "0123456789ab",
        "warnings": [],
        "device": {"cpu": {"model": "Made-up CPU", "cores": {"usable": 2}}},
    }


def _row(name: str, side: int, ms: float) -> dict[str, Any]:
    return {"name": name, "side": side, "rounds": 3, "ms_per_patch": ms, "p10": ms, "p90": ms}


def _preprocessing() -> dict[str, Any]:
    ms = {"chambolle 30": 2.0, "primal_dual 12": 0.4}
    rows = [
        _row(f"{way}, {depth}, {threads} threads", side, each * 2 / threads + (0.05 if depth == "16 bits" else 0))
        for side in (256, 4096)
        for way, each in ms.items()
        for depth in ("8 bits", "16 bits")
        for threads in (1, 2)
    ]
    rows += [_row(f"{way}, 8 bits, 2 threads with a frame each", 256, each - 0.1) for way, each in ms.items()]
    beside = [
        _row("scikit-image, float64, weight 0.05", 256, 30.0),
        _row("scikit-image, float32, weight 0.05", 256, 6.0),
        _row("OpenCV CLAHE alone, 16 bits", 256, 5.0),
        _row("chambolle 30, 8 bits, 1 threads", 256, 4.0),
        _row("chambolle 30, 8 bits, 2 threads", 256, 2.0),
        _row("primal_dual 12, 8 bits, 2 threads", 256, 1.0),
    ]
    mean = {
        "image as it is": 0.009,
        "scikit-image": 0.002,
        "chambolle 30": 0.0015,
        "chambolle 45": 0.0012,
        "primal_dual 12": 0.0025,
        "primal_dual 16": 0.0014,
    }
    as_near = {"chambolle": 30, "primal_dual": 16}
    scores = {"average_iou": 0.75, "kaggle_score": 0.6, "ap50_mean": 0.8}
    return {
        **_common("unetplus_bench.preprocessing"),
        "patches": "16 training images",
        "rows": rows,
        "beside_scikit_image": beside,
        "distances": [
            {"weight": 0.05, "mean": mean, "iterations_as_near_as_scikit_image": as_near},
            {
                "weight": 0.1,
                "mean": {name: 2 * value for name, value in mean.items()},
                "iterations_as_near_as_scikit_image": {"chambolle": 45, "primal_dual": None},
            },
        ],
        "converged": "scikit-image after 1000 iterations",
        "scores": {
            "bundle": "tiny",
            "engine": "openvino",
            "images": 108,
            "ways": {"as trained": scores, "primal_dual 12": {**scores, "kaggle_score": 0.598}},
        },
    }


def _path_fp32() -> dict[str, Any]:
    both = _path()
    ratios = {
        **both["ratios"],
        "engine": {"file": "model_fp32.xml", "threads": 2},
        "faster_than_straightforward": {"a frame by itself": 6.25, "a frame of a stream": 6.5},
    }
    return {**_common("unetplus_bench.frame_path"), "ratios": ratios}


def _path_xeon() -> dict[str, Any]:
    device = {"cpu": {"model": "Another CPU", "cores": {"usable": 2}}}
    return {**_common("unetplus_bench.frame_path"), "device": device, "ratios": _path()["ratios"]}


def _path() -> dict[str, Any]:
    frame, stream = "a frame by itself", "a frame of a stream"
    return {
        **_common("unetplus_bench.frame_path"),
        "ratios": {
            "engine": {"file": "model_int8.xml", "threads": 2},
            "rounds": 30,
            "ms_per_frame": {
                "engine alone: all patches at once": 80.0,
                "engine alone: threads share each patch": 100.0,
                frame: 104.0,
                stream: 88.0,
                "stage preprocess": 24.0,
                "stage engine": 72.0,
                "straightforward": 600.0,
            },
            "best_of_the_engine_alone": "engine alone: all patches at once",
            "to_the_engine_alone": {frame: 1.3, stream: 1.1},
            "faster_than_straightforward": {frame: 5.75, stream: 6.75},
        },
        "nuclei": {
            "images": 53,
            "straightforward": {"kaggle_score": 0.44, "nuclei": 3000},
            "openvino int8": {
                "kaggle_score": 0.435,
                "kaggle_difference": -0.005,
                "nuclei": 2999,
                "images_with_equal_counts": 49,
            },
            "openvino fp32": {
                "kaggle_score": 0.4401,
                "kaggle_difference": 0.0001,
                "nuclei": 3000,
                "images_with_equal_counts": 50,
            },
        },
        "sizes": {
            "rounds": 3,
            "ns_per_pixel": {"256": 150.0, "2048": 100.0, "8192": 108.0},
            "spread_of_2048_and_more": 0.08,
            "smallest_ms": 9.8304,
            "fixed_ms_of_the_smallest": 3.01,
        },
        "blocks": {"block": 2048, "peak_memory": {"4096": 2**29, "8192": 2**29 + 2**27}, "spread": 0.25},
        "allocations": {
            "frame": [1024, 1024],
            "float32_frame": 2**22,
            "result": 2**23,
            "traced_beyond_result": 2**20,
            "faulted": 2**21,
        },
        "residence": {
            "frame": [256, 256],
            "frames": 10_000,
            "resident": [2**28] * 50 + [2**28 + 2**22] * 50,
            "growth": 0.015625,
        },
    }


def _lanes() -> dict[str, Any]:
    shared, alone = "openvino model_int8.xml, threads share each patch", "openvino model_int8.xml, one thread a patch"
    return {
        **_common("unetplus_bench.lanes"),
        "patches": 16,
        "rounds": 20,
        "times": {shared: {"ms": 200.0, "core_ms": 400.0}, alone: {"ms": 150.0, "core_ms": 240.0}},
        "one_thread_a_patch_to_shared": {"openvino model_int8.xml": 0.75},
        "answers_are_the_same": {"openvino model_int8.xml": True},
    }


def _grids() -> dict[str, Any]:
    kaggle = {"article": 0.5, "spread": 0.52, "halo": 0.6, "whole": 0.7}
    ms = {"article": 100.0, "spread": 102.0, "halo": 130.0, "whole": 90.0}
    patches = {"article": 16, "spread": 16, "halo": 25, "whole": 1}
    scores = {
        name: {
            "kaggle_score": score,
            "average_iou": 0.75,
            "ap50_mean": 0.8,
            "ap50_pooled": 0.7,
            "flipped_near_seams_per_million": 0.0 if name == "whole" else 1234.5,
        }
        for name, score in kaggle.items()
    }
    return {
        **_common("unetplus_bench.grids"),
        "engine": "openvino int8",
        "images": {"validation_images": 60, "simulated": 6},
        "scores": {"validation_images": scores, "simulated": scores},
        "times": {"1024 x 1024": {name: {"ms": each, "patches": patches[name]} for name, each in ms.items()}},
        "best": "whole",
    }


@pytest.fixture
def made_results(tmp_path: Path) -> MakeResults:
    """Makes the five files; returns their `benchmarks/results`.

    One of them may be left out, and parts of them be others, by the name of the file.
    """

    def make(*, without: str = "", **changes: Any) -> Path:
        files = {
            "preprocessing": _preprocessing(),
            "path": _path(),
            "path_fp32": _path_fp32(),
            "path_xeon": _path_xeon(),
            "lanes": _lanes(),
            "grids": _grids(),
        }
        folder = tmp_path / "frame_path"
        folder.mkdir()
        for name, content in files.items():
            if name != without:
                (folder / f"{name}.json").write_text(json.dumps({**content, **changes.get(name, {})}))
        return tmp_path

    return make
