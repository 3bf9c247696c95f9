"""The zoo's default model and the result files that speak of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from unetplus_bench.specimen_scores import scored, streamed
from unetplus_edge.datasets import open_dsb2018
from unetplus_edge.evaluation import score_set
from unetplus_edge.zoo import find_bundle
from unetplus_runtime import Segmenter
from unetplus_runtime.scoring import evaluate

if TYPE_CHECKING:
    from unetplus_edge.manifest import Manifest

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def result(*parts: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(RESULTS.joinpath(*parts).read_text())
    return content


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return find_bundle().manifest


@pytest.mark.parametrize(
    "parts",
    [
        *(
            ("scores", f"{images}-{engine}", "scores.json")
            for images in ("test", "validation")
            for engine in ("litert", "keras")
        ),
        ("postprocessing", "unet_plus_tc_b8.json"),
        ("specimen", "scores.json"),
    ],
    ids="/".join,
)
def test_result_files_are_about_the_model_that_is_shipped(parts: tuple[str, ...], manifest: Manifest) -> None:
    assert result(*parts)["keras_sha256"] == manifest.keras_sha256


def test_the_shipped_constants_are_the_best_on_the_validation_images(manifest: Manifest) -> None:
    chosen = result("postprocessing", "unet_plus_tc_b8.json")
    merits = {(c["average_iou"] + c["kaggle_score"]) / 2: c for c in chosen["candidates"]}
    best = {name: merits[max(merits)][name] for name in chosen["best"]}
    assert best == chosen["best"] == manifest.postprocessing.model_dump()


@pytest.mark.parametrize("images", ["test", "validation"])
def test_keras_and_litert_score_alike(images: str) -> None:
    keras, litert = (result("scores", f"{images}-{engine}", "scores.json")["scores"] for engine in ("keras", "litert"))
    assert keras == pytest.approx(litert, abs=1e-3)


@pytest.mark.slow
def test_scoring_the_test_images_again_gives_the_committed_scores(data_root: Path) -> None:
    samples = open_dsb2018(data_root / "dsb2018", "released").test
    with Segmenter() as segmenter:
        scores = score_set([image for _, image in evaluate(segmenter, samples)])
    committed = result("scores", "test-litert", "scores.json")["scores"]
    assert scores.average_iou_mean == pytest.approx(committed["average_iou_mean"], abs=1e-3)
    assert scores.kaggle_score == pytest.approx(committed["kaggle_score"], abs=1e-3)


def test_simulated_frames_are_about_as_hard_as_the_validation_images() -> None:
    found = result("specimen", "scores.json")
    assert abs(found["five_seeds"]["ap50_mean_difference"]) <= 0.10
    assert found["five_seeds"]["scores"]["images"] == 100


def test_scoring_a_stream_again_gives_the_committed_score() -> None:
    with Segmenter() as segmenter:
        scores = score_set(scored(segmenter, streamed(0)))
    assert scores.ap50_mean == pytest.approx(
        result("specimen", "scores.json")["five_seeds"]["ap50_mean_by_seed"][0], abs=5e-3
    )
