"""`unetplus-bench article`: scores, times and pictures of a tiny model, as the command makes them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from unetplus_bench.article import command, timing
from unetplus_bench.article.collect import kept_models, log_of
from unetplus_bench.article.figures import losses_file, shown_images
from unetplus_bench.article.networks import WIDTHS, tabled
from unetplus_bench.article.record import ArticleResults
from unetplus_bench.article.scoring import ARTICLES
from unetplus_bench.command import main
from unetplus_bench.measuring import material
from unetplus_bench.measuring.rounds import Schedule
from unetplus_edge.datasets import content_hash
from unetplus_edge.datasets.dsb2018 import DSB2018
from unetplus_edge.errors import InputError
from unetplus_edge.evaluation import score_image, score_set
from unetplus_edge.imaging import Postprocessing
from unetplus_runtime.segmenter import Segmenter


@pytest.fixture(autouse=True)
def _data(samples, monkeypatch):
    for module in (command, material):
        monkeypatch.setattr(module, "open_dsb2018", lambda *_, **__: DSB2018((), tuple(samples)))


def article(tmp_path, *words):
    places = {"--models": "models", "--results": "results", "--pictures": "pictures"}
    arguments = [part for option, name in places.items() for part in (option, str(tmp_path / name))]
    return CliRunner().invoke(main, ["article", *words, *arguments])


@pytest.fixture
def measured(tmp_path, models):
    result = article(tmp_path, "--measure", "--scores-only", "--figures", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    return tmp_path


def test_scores_are_those_of_the_labels_by_the_articles_threshold_and_patches(measured, samples, with_manifest):
    records = ArticleResults(measured / "results").records
    assert list(records) == ["unet_b8", "unet_plus_plus_b8_l2"]
    bundle = kept_models(measured / "models")["unet_b8"]
    with_manifest(bundle, postprocessing=Postprocessing(threshold=0.5))
    with Segmenter(bundle.path, engine="keras", grid="article") as segmenter:
        expected = score_set(
            [score_image(sample.labels(), segmenter.segment(sample.image()).labels) for sample in samples]
        )
    assert records["unet_b8"].scores == pytest.approx(vars(expected))
    assert (records["unet_b8"].engine, records["unet_b8"].executed_precision) == ("keras", "fp32")


def test_the_threshold_of_the_bundle_makes_no_difference(measured, with_manifest):
    bundle = kept_models(measured / "models")["unet_b8"]
    with_manifest(bundle, postprocessing=Postprocessing(threshold=0.05))
    before = ArticleResults(measured / "results").records["unet_b8"]
    (measured / "results" / "unet_b8.json").unlink()
    assert article(measured, "--measure", "--scores-only", "--only", "unet_b8").exit_code == 0
    after = ArticleResults(measured / "results").records["unet_b8"]
    assert (after.scores, after.postprocessing) == (before.scores, ARTICLES)


def test_a_record_tells_what_was_scored_and_how_it_was_trained(measured, samples):
    record = ArticleResults(measured / "results").records["unet_plus_plus_b8_l2"]
    bundle = kept_models(measured / "models")["unet_plus_plus_b8_l2"]
    assert record.keras_sha256 == bundle.manifest.keras_sha256
    assert record.images_sha256 == content_hash(samples)
    assert record.recipe == bundle.manifest.recipe
    assert [epoch.validation_loss for epoch in record.log] == [0.5, 0.2, 0.3]


def test_the_same_weights_are_not_scored_again(measured, monkeypatch):
    monkeypatch.setattr(command, "scored", None)
    assert article(measured, "--measure", "--scores-only", "--quiet").exit_code == 0


def test_figures_are_drawn_and_say_what_they_are_of(measured, samples):
    losses = cv2.imread(str(measured / "pictures" / "article_losses_b8.png"))
    assert losses.std() > 1
    assert not (measured / "pictures" / "article_losses_b16.png").exists()
    overlays = cv2.imread(str(measured / "pictures" / "article_overlays.png"))
    assert overlays.shape[0] > 3 * overlays.shape[1] / 2
    figures = ArticleResults(measured / "results").figures
    records = ArticleResults(measured / "results").records
    assert figures.models == {"unet_b8": records["unet_b8"].keras_sha256}
    assert figures.images == tuple(sample.id for sample in shown_images(samples))


def test_six_images_run_from_few_nuclei_to_many(samples):
    assert [sample.id for sample in shown_images(samples)] == [f"with-{count:02}" for count in (2, 4, 6, 8, 10, 12)]
    with pytest.raises(InputError, match="and there are 5"):
        shown_images(samples[:5])


def test_the_command_prints_tables_and_json(measured):
    printed = article(measured)
    assert printed.exit_code == 0
    assert "Table 1: B=16" in printed.stdout
    assert "not trained yet" in printed.stdout
    told = json.loads(article(measured, "--json").stdout)
    record = ArticleResults(measured / "results").records["unet_b8"]
    (row,) = [row for row in told["tables"]["article-table-8"]["rows"] if row[0] == "U-Net"]
    assert row[3] == f"{record.scores['kaggle_score']:.3f}"
    assert {claim["holds"] for claim in told["claims"] if "weights" in claim["sentence"]} == {True}


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (("--only", "unet_b8"), 2, "add --measure"),
        (("--scores-only",), 2, "add --measure"),
        (("--measure", "--only", "unet_b16"), InputError.exit_code, "has no unet_b16; train with unetplus-train"),
        (("--collect", "/nowhere"), InputError.exit_code, "/nowhere is no folder"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, words, exit_code, said):
    result = article(tmp_path, *words)
    assert (result.exit_code, said in result.stderr) == (exit_code, True), result.output


def test_models_are_timed_on_keras_and_on_what_is_made_of_them_in_a_copy(models, monkeypatch):
    monkeypatch.delenv("UNETPLUS_DATA", raising=False)
    bundle = kept_models(models)["unet_b8"]
    before = {path.name: path.read_bytes() for path in bundle.path.iterdir()}
    said: list[str] = []
    result = timing.timed(
        {"unet_b8": bundle},
        "typed",
        conversions=(("openvino", "fp32"),),
        schedule=Schedule(rounds=2, calls=3, warm_up=0),
        tell=said.append,
    )
    assert (result.protocol, result.command) == ("article", "typed")
    assert [(row.engine, row.stored_precision, row.error, row.verified) for row in result.rows] == [
        ("keras", "fp32", None, True),
        ("openvino", "fp32", None, True),
    ]
    assert all(row.rounds and [len(times) for times in row.rounds] == [3, 3] for row in result.rows)
    assert said == ["converting unet_b8", "measuring 2 rows"]
    assert {path.name: path.read_bytes() for path in bundle.path.iterdir()} == before
    found = timing.times_of(result, "unet_plus_tc_b2")
    assert found.keras == pytest.approx(1e3 * np.median([t for times in result.rows[0].rounds for t in times]))


def test_the_articles_protocol_is_all_patches_five_times_with_scores():
    assert (timing.PROTOCOL.rounds, timing.PROTOCOL.calls, timing.PROTOCOL.images) == (5, 174, "test_images")


def test_committed_figures_are_of_the_committed_results():
    root = Path(__file__).parents[3]
    results = ArticleResults(root / "benchmarks" / "results" / "article")
    models = kept_models(root / "models" / "article")
    for name, record in results.records.items():
        assert models[name].manifest.keras_sha256 == record.keras_sha256
        assert log_of(models[name]) == record.log
        assert record.postprocessing == ARTICLES
    for width in WIDTHS:
        is_shown = any(name in results.records for name in tabled() if name.endswith(f"_b{width}"))
        assert (root / "docs" / "images" / losses_file(width)).is_file() or not is_shown
    if results.figures is not None:
        assert results.figures.models == {name: results.records[name].keras_sha256 for name in results.figures.models}
        assert (root / "docs" / "images" / "article_overlays.png").is_file()
