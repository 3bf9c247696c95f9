"""The article's tables and claims, from made-up results."""

from __future__ import annotations

import pytest

from unetplus_bench.article import timing
from unetplus_bench.article.claims import claims
from unetplus_bench.article.networks import FAMILIES, name_of, tabled
from unetplus_bench.article.pages import RENDERERS
from unetplus_bench.article.record import TIMES, ArticleResults
from unetplus_bench.article.tables import NOT_YET, tables
from unetplus_bench.results import AccuracyRecord, NetworkRecord
from unetplus_edge.errors import InputError

GOOD = {"unet": 0.50, "unet_plus_plus": 0.55, "unet_plus_tc": 0.58, "unet_plus_us": 0.56}


@pytest.fixture
def folder(tmp_path, put):
    """Results in which all that the article says of scores and losses holds."""
    for family, iou in GOOD.items():
        losses = (0.3, 0.17) if family == "unet_plus_plus" else (0.2, 0.14, 0.16)
        put(tmp_path, name_of(family, 16), iou, losses=losses)
        put(tmp_path, name_of(family, 8), iou - (0.01 if family == "unet" else 0.001), losses=losses)
    put(tmp_path, "unet_plus_plus_b16_no_l2", 0.54)
    put(tmp_path, "unet_plus_plus_b8_l2", 0.53)
    return tmp_path


def judged(folder):
    return {claim.sentence: claim for claim in claims(ArticleResults(folder))}


def about(found, *words):
    (claim,) = [claim for sentence, claim in found.items() if all(word in sentence for word in words)]
    return claim


def test_what_was_not_trained_is_named_so_and_gets_no_number(tmp_path):
    results = ArticleResults(tmp_path / "nothing")
    found = tables(results)
    for width in (16, 8):
        rows = found[f"article-table-{width}"].rows
        assert [row[0] for row in rows] == list(FAMILIES.values())
        assert all(row[1] == NOT_YET and row[2:6] == ["-"] * 4 and row[8:10] == ["-"] * 2 for row in rows)
    judged = claims(results)
    assert all(claim.holds is None and not claim.found for claim in judged if "weights" not in claim.sentence)


def test_a_row_has_the_scores_of_its_result_file(folder):
    (row,) = [row for row in tables(ArticleResults(folder))["article-table-8"].rows if row[0] == "U-Net+ T.C."]
    assert row[1:6] == ["0.579 ± 0.200", "0.629", "0.479", "0.900", "0.679"]
    assert row[7] == "484,281"


def test_the_article_states_what_its_text_states_and_nothing_else(folder):
    found = tables(ArticleResults(folder))
    for width in (16, 8):
        stated = {row[0]: row[6] for row in found[f"article-table-{width}"].rows}
        assert {name for name, cell in stated.items() if cell != "-"} == {"U-Net++"}
        assert stated["U-Net++"] == "above 0.503, 0.571"
    stated = {row[0]: row[6] for row in found["article-ablations"].rows}
    assert stated["U-Net++, B=16, λ = 0"] == "0.503 ± 0.217, 0.571"
    assert stated["U-Net++, B=8, λ = 0.0001"] == "0.503 ± 0.162, 0.571"


def test_claims_that_hold_hold(folder):
    found = judged(folder)
    assert {sentence for sentence, claim in found.items() if claim.holds is False} == set()
    assert about(found, "B=16", "above U-Net++").found == "U-Net+ T.C. +3.0 points, U-Net+ U.S. +1.0 points"
    assert all(claim.holds is None for sentence, claim in found.items() if "Keras" in sentence)


@pytest.mark.parametrize(
    ("changed", "iou", "words"),
    [
        ("unet_plus_us_b16", 0.549, ("B=16", "above U-Net++")),
        ("unet_plus_tc_b8", 0.548, ("B=8", "above U-Net++")),
        ("unet_b16", 0.531, ("B=16", "more than 2 %")),
        ("unet_b8", 0.52, ("B=8", "more than 3 %", "average IOU")),
        ("unet_b8", 0.52, ("B=8", "more than 3 %", "precision")),
        ("unet_plus_us_b16", 0.581, ("T.C. is above U.S.",)),
        ("unet_plus_tc_b8", 0.569, ("hardly changes",)),
        ("unet_b8", 0.501, ("falls slightly",)),
        ("unet_plus_plus_b16_no_l2", 0.551, ("B=16", "L2 factor")),
    ],
)
def test_a_claim_fails_where_one_model_is_against_it(folder, put, changed, iou, words):
    put(folder, changed, iou)
    assert about(judged(folder), *words).holds is False


def test_a_claim_of_four_waits_for_the_fourth(folder):
    (folder / "unet_plus_us_b16.json").unlink()
    found = judged(folder)
    assert about(found, "B=16", "above U-Net++").holds is None
    assert about(found, "B=16", "validation loss").holds is None
    assert about(found, "B=8", "above U-Net++").holds is True


def test_the_loss_of_the_tables_is_that_of_the_epoch_that_was_kept(folder):
    rows = {row[0]: row[1:] for row in tables(ArticleResults(folder))["article-losses"].rows}
    assert rows["U-Net, B=8"] == ["3", "2", "0.140", "0.13 to 0.15", "1.5"]
    assert rows["U-Net++, B=8"][:3] == ["2", "2", "0.170"]


def test_seeds_count_by_their_mean_and_have_a_table_of_their_own(folder, put):
    assert "article-seeds" not in tables(ArticleResults(folder))
    put(folder, "unet_plus_tc_b16_seed1", 0.62)
    found = tables(ArticleResults(folder))
    (row,) = [row for row in found["article-table-16"].rows if row[0] == "U-Net+ T.C."]
    assert row[1] == "0.600 ± 0.200"
    (row,) = [row for row in found["article-seeds"].rows if row[0] == "U-Net+ T.C., B=16"]
    assert row[1:3] == ["2", "0.600 ± 0.020"]
    assert about(judged(folder), "B=16", "above U-Net++").found.startswith("U-Net+ T.C. +5.0 points")


def with_times(made_up, folder, ms, **changes):
    """Write times in which every model has a row on Keras and one on OpenVINO, which takes half as long."""
    result = made_up(0, only=("keras fp32", "openvino int8"))
    keras, openvino = result.rows
    rows = []
    for name in tabled():
        seconds = ms[name.rsplit("_b", 1)[0]] / 1e3
        changed = {"network": NetworkRecord(name=name), "accuracy": ()}
        rows.append(keras.model_copy(update={**changed, "name": f"{name} keras", "rounds": ((seconds,) * 3,)}))
        quick = {**changed, "name": f"{name} openvino", "rounds": ((seconds / 2,) * 3,)}
        scored = (AccuracyRecord(images="test_images", average_iou=0.512, kaggle_score=0.4),)
        rows.append(openvino.model_copy(update={**quick, "accuracy": scored, **changes}))
    result.model_copy(update={"rows": tuple(rows)}).write(folder / f"{TIMES}.json")


QUICK = {"unet": 10.0, "unet_plus_tc": 12.0, "unet_plus_plus": 22.0, "unet_plus_us": 21.0}


def test_times_stand_beside_scores_with_the_best_engine_and_what_it_scores(folder, made_up):
    with_times(made_up, folder, QUICK)
    (row,) = [row for row in tables(ArticleResults(folder))["article-table-16"].rows if row[0] == "U-Net+ T.C."]
    assert row[8:] == ["12.0", "6.0 (openvino int8, average IOU 0.512)", "about 15"]
    assert [claim.holds for sentence, claim in judged(folder).items() if "Keras" in sentence] == [True] * 4


def test_another_order_of_times_is_told(folder, made_up):
    with_times(made_up, folder, {**QUICK, "unet": 12.5})
    found = judged(folder)
    assert about(found, "B=8: U-Net takes less time").holds is False
    assert about(found, "B=8: U-Net takes less time").found == "U-Net 12.5 ms, U-Net+ T.C. 12.0 ms"


def test_what_is_not_verified_is_never_the_best(folder, made_up):
    with_times(made_up, folder, QUICK, verified=False)
    times = timing.times_of(ArticleResults(folder).times, "unet_b8")
    assert (times.best.engine, times.best_ms) == ("keras", pytest.approx(10.0))


def test_a_damaged_result_file_is_named(folder):
    (folder / "unet_b8.json").write_text("{}")
    with pytest.raises(InputError, match=r"unet_b8\.json is damaged"):
        ArticleResults(folder)


def test_what_the_differences_of_unet_plus_plus_are_worth_is_told_once_it_is_known(tmp_path, put):
    page = RENDERERS["article-controlled"]
    assert page(tmp_path).endswith("is not known yet.")
    for name, iou in {"unet_plus_plus_b8": 0.4, "unet_plus_plus_controlled_b8": 0.47, "unet_plus_tc_b8": 0.5}.items():
        put(tmp_path / "article", name, iou)
    assert "worth +7.0 points of average IOU" in page(tmp_path)
    assert "is at +10.0 to the U-Net++" in page(tmp_path)
