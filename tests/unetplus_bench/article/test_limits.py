"""What limits U-Net+ T.C., B=16: true masks by the article's method, and a tiny model in place of the trained ones."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from unetplus_bench.article import limits
from unetplus_bench.article.limits import FILE, read_limits, trained, truth_scores
from unetplus_bench.article.limits_page import RENDERERS, TITLES
from unetplus_bench.article.scoring import ARTICLES, Scored
from unetplus_edge.bundle import Bundle, open_bundle
from unetplus_edge.datasets.dsb2018 import DSB2018
from unetplus_edge.errors import InputError
from unetplus_edge.training.limits import NETWORK, limits_suite

EPOCHS = "epoch,learning_rate,patches,loss,validation_loss,seconds\n" + "".join(
    f"{number},0.0005,400,0.4,0.3,60.0\n" for number in range(1, 22)
)
TRAINED = f"{NETWORK}_all_patches"


class Two:
    """An image with two nuclei side by side."""

    def labels(self):
        labels = np.zeros((40, 60), np.int32)
        labels[10:30, 10:30], labels[10:30, 30:50] = 1, 2
        return labels


def test_nuclei_that_touch_are_one_by_the_articles_method_unless_there_is_a_gap():
    joined, parted = (truth_scores([Two()], gap) for gap in (0, 2))
    assert (joined["predicted_nuclei"], joined["true_nuclei"], joined["average_iou_mean"]) == (1, 2, 0)
    assert (parted["predicted_nuclei"], parted["ap50_mean"]) == (2, 1)
    assert parted["average_iou_mean"] == pytest.approx(0.9)


@pytest.fixture(autouse=True)
def _zoo(models, monkeypatch):
    monkeypatch.setattr(limits, "find_bundle", lambda _: open_bundle(models / "unet_plus_plus_b8_l2"))


@pytest.fixture
def runs(tmp_path, models):
    """A folder of the suite in which one training is at its end and one is not."""
    folder = tmp_path / "runs"
    for name, epochs in {TRAINED: EPOCHS, f"{NETWORK}_float32": EPOCHS.split("20,")[0]}.items():
        shutil.copytree(models / "unet_b8", folder / name / "bundle")
        (folder / name / "log.csv").write_text(epochs)
    return folder


@pytest.fixture
def measured(tmp_path, runs, models, samples, with_manifest, monkeypatch):
    bundle = open_bundle(models / "unet_plus_plus_b8_l2")
    own = ARTICLES.model_copy(update={"threshold": 0.05})
    with_manifest(bundle, postprocessing=own)
    monkeypatch.setattr(limits, "open_dsb2018", lambda: DSB2018(tuple(samples[6:]), tuple(samples[:6])))
    monkeypatch.setattr(DSB2018, "validation", tuple(samples[6:]))
    result = CliRunner().invoke(limits.main, [str(runs), "--results", str(tmp_path / "article"), "--quiet"])
    assert (result.exit_code, result.output) == (0, "")
    return tmp_path


def test_every_finished_training_has_a_row_and_the_zoos_model_two(measured):
    record = read_limits(measured / "article")
    assert [row.name for row in record.rows] == ["truth", "truth_gap", TRAINED, "zoo", "zoo_cores"]
    rows = {row.name: row for row in record.rows}
    assert len(rows[TRAINED].log) == 21
    assert (rows[TRAINED].postprocessing, rows["zoo"].postprocessing) == (ARTICLES, ARTICLES)
    assert rows["zoo_cores"].postprocessing.threshold == 0.05
    # The two bundles hold the same weights.
    assert rows["zoo"].test == rows[TRAINED].test != rows["zoo_cores"].test
    assert rows["zoo"].validation != rows["zoo"].test
    assert all(row.test["images"] == row.validation["images"] == 6 for row in record.rows)


def test_a_model_has_no_scores_on_images_that_it_learnt_from(runs, samples, monkeypatch):
    monkeypatch.setattr(limits, "scored_on", lambda images, *_: Scored({"images": len(images)}, None))
    (found, *_) = trained(runs)
    manifest = found.bundle.manifest
    recipe = manifest.recipe.model_copy(update={"split": "all_patches", "patch_side": 256})
    all_learnt = Bundle(found.bundle.path, manifest.model_copy(update={"recipe": recipe}))
    row = limits.trained_row(found._replace(bundle=all_learnt), samples[:1], samples[1:3])
    assert (row.test, row.validation) == ({"images": 1}, None)
    assert limits.trained_row(found, samples[:1], samples[1:3]).validation == {"images": 2}


def test_the_page_has_the_scores_of_the_result_file_and_names_what_is_not_there(measured, put):
    put(measured / "article", NETWORK, 0.523, scores={**SCORES, "average_iou_mean": 0.523})
    rows = {cells[1].strip(): cells[2:-1] for cells in (line.split("|") for line in table(measured))}
    record = {row.name: row for row in read_limits(measured / "article").rows}
    iou = record[TRAINED].test["average_iou_mean"]
    assert rows[TITLES[TRAINED]][0].strip() == f"{iou:.3f}"
    assert rows[TITLES[NETWORK]][0].strip() == "0.523"
    assert [cell.strip() for cell in rows[TITLES[NETWORK]][3:]] == ["-", "-"]
    assert rows[TITLES[f"{NETWORK}_float32"]][0].strip() == "not trained yet"


SCORES = {"kaggle_score": 0.4, "predicted_nuclei": 4, "true_nuclei": 5}


def table(folder):
    return RENDERERS["article-limits"](folder).splitlines()[2:]


def test_before_anything_is_measured_the_page_says_so(tmp_path):
    assert len(table(tmp_path)) == len(TITLES)
    assert all("not trained yet" in line for line in table(tmp_path))


def test_every_training_of_the_suite_has_a_title():
    assert {member.name for member in limits_suite()} < set(TITLES)


def test_a_folder_or_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone is no folder; name the one that unetplus-train --suite limits"):
        trained(tmp_path / "gone")
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(InputError, match=r"limits\.json is damaged or of another version; run: python -m"):
        read_limits(tmp_path)
