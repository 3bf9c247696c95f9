from __future__ import annotations

import csv
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy import ndimage

from unetplus_edge.bundle import open_bundle
from unetplus_edge.datasets import content_hash, open_dsb2018, validation_images
from unetplus_edge.evaluation import score_image, score_set
from unetplus_runtime import Segmenter
from unetplus_runtime.engines.plan_cache import plan_path
from unetplus_runtime.evaluate import main

if TYPE_CHECKING:
    from unetplus_edge.bundle import Bundle


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many images as the data set has, under its ids where these are known, of 40 x 50 pixels each."""
    folder = tmp_path_factory.mktemp("dsb2018")
    held_out = sorted(validation_images())
    training = held_out + [f"other{number}" for number in range(546 - len(held_out))]
    rows = [("train", name) for name in training] + [("test", f"test{number}") for number in range(53)]
    for kind in ("train/images", "train/labels", "train/labels_fixed", "test/images", "test/labels"):
        (folder / kind).mkdir(parents=True)
    image = np.full((40, 50), 20, np.uint8)
    image[10:20, 10:20] = 200
    content = cv2.imencode(".png", image)[1].tobytes()
    truth = cv2.imencode(".png", (image > 100).astype(np.uint16))[1].tobytes()
    for split, name in rows:
        (folder / split / "images" / f"{name}.png").write_bytes(content)
        (folder / split / "labels" / f"{name}.png").write_bytes(truth)
    # Five have no corrected labels, three of them among the validation images.
    for name in training[3:-2]:
        (folder / "train" / "labels_fixed" / f"{name}.png").write_bytes(truth)
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("split", "id"), *rows])
    return folder


def run(bundle: Bundle, data: Path, *arguments: object) -> Result:
    command = [str(bundle.path), "--data", str(data), "--quiet", *map(str, arguments)]
    return CliRunner().invoke(main, command, prog_name="unetplus-evaluate")


def report_of(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_scores_by_the_articles_postprocessing_stand_beside(bundle: Bundle, data: Path) -> None:
    report = report_of(run(bundle, data, "--json", "--images", "test"))
    samples = open_dsb2018(data, "released").test
    with Segmenter(bundle, grid="article") as segmenter:
        expected = []
        for sample in samples:
            mask = segmenter.segment(sample.image()).probability > 0.5
            holes, count = ndimage.label(ndimage.binary_fill_holes(mask, np.ones((3, 3))) & ~mask, np.ones((3, 3)))
            mask |= np.isin(holes, [number for number in range(1, count + 1) if (holes == number).sum() <= 50])
            parts, count = ndimage.label(mask)
            small = [number for number in range(1, count + 1) if (parts == number).sum() < 20]
            expected.append(score_image(sample.labels(), np.where(np.isin(parts, small), 0, parts)))
    assert report["article_method"]["scores"] == pytest.approx(asdict(score_set(expected)))
    assert report["article_method"]["postprocessing"]["core_threshold"] is None
    assert report["postprocessing"] == bundle.manifest.postprocessing.model_dump()


def test_the_validation_images_are_scored_by_the_corrected_labels(bundle: Bundle, data: Path) -> None:
    report = report_of(run(bundle, data, "--json"))
    assert (report["images"], report["labels"]) == ("validation_images", "fixed")
    assert report["scores"]["images"] == len(validation_images()) - 3


def test_the_released_labels_can_be_asked_for(bundle: Bundle, data: Path) -> None:
    report = report_of(run(bundle, data, "--labels", "released", "--json"))
    assert (report["labels"], report["scores"]["images"]) == ("released", len(validation_images()))


def test_the_report_says_what_was_scored(bundle: Bundle, data: Path) -> None:
    report = report_of(run(bundle, data, "--images", "test", "--json"))
    assert (report["images"], report["labels"], report["scores"]["images"]) == ("test_images", "released", 53)
    assert report["command"].startswith(f"unetplus-evaluate {bundle.path} --data")
    assert (report["bundle"], report["keras_sha256"]) == ("tiny", bundle.manifest.keras_sha256)
    assert (report["engine"], report["executed_precision"]) == ("litert", "fp32")
    assert report["file"] == "exports/tiny.tflite"
    assert report["images_sha256"] == content_hash(open_dsb2018(data).test)
    assert {"unetplus-edge", "python", "numpy", "ai-edge-litert"} <= set(report["versions"])


def test_the_scores_are_those_of_the_segmenter(bundle: Bundle, data: Path) -> None:
    report = report_of(run(bundle, data, "--images", "test", "--json"))
    samples = open_dsb2018(data).test
    with Segmenter(bundle) as segmenter:
        expected = score_set([score_image(each.labels(), segmenter.segment(each.image()).labels) for each in samples])
    assert report["scores"] == pytest.approx(vars(expected))


def test_results_are_written_to_a_folder(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    report = report_of(run(bundle, data, "--images", "test", "--out", tmp_path, "--overlays", "--json"))
    assert json.loads((tmp_path / "scores.json").read_text()) == report
    with (tmp_path / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 53
    assert float(np.mean([float(row["kaggle_score"]) for row in rows])) == pytest.approx(
        report["scores"]["kaggle_score"], abs=1e-6
    )
    pictures = sorted(tmp_path.glob("*_errors.png"))
    assert len(pictures) == 53
    assert cv2.imread(str(pictures[0])).shape == (40, 50, 3)


def test_a_table_shows_every_score(bundle: Bundle, data: Path) -> None:
    result = CliRunner().invoke(main, [str(bundle.path), "--data", str(data), "--images", "test"])
    assert result.exit_code == 0, result.output
    for name in ("average iou mean", "article precision", "kaggle score", "ap50 mean", "ap50 pooled", "dice"):
        assert name in result.stdout


def test_quiet_prints_nothing(bundle: Bundle, data: Path) -> None:
    result = run(bundle, data, "--images", "test")
    assert (result.exit_code, result.stdout) == (0, "")


def test_no_data_and_no_room_are_told(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    result = run(bundle, tmp_path / "nowhere")
    assert result.exit_code == 12
    assert "nowhere is no folder" in result.stderr
    result = run(bundle, data, "--overlays")
    assert result.exit_code == 15
    assert "name a folder with --out" in result.stderr


def test_help_has_an_example() -> None:
    assert "unetplus-evaluate unet_plus_tc_b8 --images test" in CliRunner().invoke(main, ["--help"]).stdout


def test_the_real_validation_images_have_corrected_labels(data_root: Path) -> None:
    held_out = validation_images()
    samples = [each for each in open_dsb2018(data_root / "dsb2018").training if each.id in held_out]
    assert len(held_out) - 5 <= len(samples) <= len(held_out)


def test_causes_of_errors_stand_in_the_report_and_beside_each_image(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    report = report_of(run(bundle, data, "--images", "test", "--out", tmp_path, "--json"))
    with (tmp_path / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    unmatched = sum(int(row["false_negatives_50"]) for row in rows)
    causes = report["error_causes"]
    assert sum(causes[name] for name in ("merged", "split", "missed", "outline")) == unmatched
    assert {name: sum(int(row[name]) for row in rows) for name in causes} == causes


def test_the_worst_images_are_put_on_one_sheet(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    assert run(bundle, data, "--images", "test", "--out", tmp_path, "--worst", 7).exit_code == 0
    sheet = cv2.imread(str(tmp_path / "worst.png"))
    assert sheet.shape[0] < sheet.shape[1] < 5 * sheet.shape[0]  # two rows of five


def test_pictures_without_a_folder_are_refused(bundle: Bundle, data: Path) -> None:
    result = run(bundle, data, "--worst", 3)
    assert (result.exit_code, "--out" in result.output) == (15, True)


def test_recorded_scores_replace_earlier_ones_of_the_same_images(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    copy = open_bundle(Path(shutil.copytree(bundle.path, tmp_path / "copy")))
    for images in ("test", "validation", "test"):
        report = report_of(run(copy, data, "--images", images, "--record", "--json"))
    records = {record.images: record for record in open_bundle(copy.path).manifest.scores}
    assert len(open_bundle(copy.path).manifest.scores) == len(records) == 2
    assert records["test_images"].scores == report["scores"]
    assert (records["test_images"].engine, records["test_images"].precision) == ("litert", "fp32")


def test_an_engine_in_the_users_cache_is_named_without_a_path_of_the_machine(
    bundle: Bundle, data: Path, tmp_path: Path, map_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNETPLUS_CACHE", str(tmp_path / "cache"))
    key = "ab" * 32
    engine = map_engine()
    engine.info = replace(engine.info, engine="tensorrt", file=plan_path(key))
    monkeypatch.setattr("unetplus_runtime.segmenter.open_engine", lambda *_, **__: engine)
    copy = open_bundle(Path(shutil.copytree(bundle.path, tmp_path / "copy")))
    result = run(copy, data, "--images", "test", "--record", "--out", tmp_path / "out", "--json")
    report = report_of(result)
    assert report["file"] == f"plans/{key}/model.plan"
    facts = {name: value for name, value in report.items() if name != "command"}
    assert str(tmp_path) not in json.dumps(facts)
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == report
    (record,) = open_bundle(copy.path).manifest.scores
    assert (record.engine, record.scores) == ("tensorrt", report["scores"])


def test_a_plan_outside_the_cache_is_named_by_its_file_alone(
    bundle: Bundle, data: Path, tmp_path: Path, map_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = map_engine()
    engine.info = replace(engine.info, engine="tensorrt", file=tmp_path / "elsewhere" / "own.plan")
    monkeypatch.setattr("unetplus_runtime.segmenter.open_engine", lambda *_, **__: engine)
    assert report_of(run(bundle, data, "--images", "test", "--json"))["file"] == "own.plan"
