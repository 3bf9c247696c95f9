from __future__ import annotations

import doctest
import json
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from unetplus_bench import documents
from unetplus_bench.specimen_report import (
    FRESH_SEEDS,
    SHEET_SEEDS,
    Group,
    compared,
    contact_sheet,
    draw_distributions,
    group_of,
    main,
    measured_samples,
    measured_seeds,
    name_of,
    write_report,
)
from unetplus_edge.datasets import Sample
from unetplus_edge.datasets.distributions import nucleus_distributions
from unetplus_edge.datasets.specimen import Specimen, simulate
from unetplus_edge.errors import InputError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]


def _samples(folder: Path, seeds: Iterable[int]) -> list[Sample]:
    folder.mkdir()
    samples = []
    for seed in seeds:
        frame = simulate(Specimen(height=96, width=128, seed=seed, density=800, area=200, variation=0))
        image, labels = folder / f"{seed}.png", folder / f"{seed}_labels.png"
        cv2.imwrite(str(image), frame.image)
        cv2.imwrite(str(labels), frame.labels.astype(np.uint16))
        samples.append(Sample(str(seed), image, labels))
    return samples


def _group(values: list[float]) -> Group:
    names = ("area", "contrast_to_noise", "neighbour_distance", "background", "nuclei_per_megapixel")
    return Group(images=1, nuclei=len(values), touching=0.0, quantities={name: np.array(values) for name in names})


def test_frames_are_put_together_without_what_could_not_be_measured() -> None:
    alone, pair = np.zeros((40, 40), np.int32), np.zeros((40, 40), np.int32)
    alone[10:20, 10:20] = 1
    pair[10:20, 10:20], pair[10:20, 20:24] = 1, 2
    group = group_of(
        nucleus_distributions(np.where(labels, 60, 9).astype(np.uint8), labels) for labels in (alone, pair)
    )
    assert (group.images, group.nuclei) == (2, 3)
    assert group.touching == pytest.approx(2 / 3)
    assert group.quantities["area"].tolist() == [100, 100, 40]
    assert group.quantities["neighbour_distance"].tolist() == [7, 7]
    assert group.quantities["background"].tolist() == [9, 9]
    assert group.quantities["nuclei_per_megapixel"].tolist() == [1 / 1600e-6, 2 / 1600e-6]


@pytest.mark.parametrize("frames", [0, 2])
def test_frames_without_nuclei_are_refused(frames: int) -> None:
    empty = nucleus_distributions(np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.int32))
    with pytest.raises(InputError, match=f"{frames} frames have no area"):
        group_of([empty] * frames)


def test_every_seed_is_one_frame_of_the_default_specimen() -> None:
    group = measured_seeds([4, 7], side=128)
    labels = [simulate(Specimen(height=128, width=128, seed=seed)).labels for seed in (4, 7)]
    assert group.images == 2
    assert group.nuclei == sum(len(np.unique(image)) - 1 for image in labels)
    assert group.quantities["area"].sum() == sum(np.count_nonzero(image) for image in labels)


def test_samples_are_measured_at_their_own_size(tmp_path: Path) -> None:
    samples = _samples(tmp_path / "data", [1, 2, 3])
    group = measured_samples(samples)
    assert group.images == 3
    assert group.quantities["area"].sum() == sum(np.count_nonzero(sample.labels()) for sample in samples)


def test_simulated_groups_are_compared_with_each_real_one_and_real_ones_with_each_other() -> None:
    real = {"first": _group([1, 2, 3, 4]), "second": _group([3, 4, 5, 6])}
    area = compared(real, {"simulated": _group([4, 4, 4, 4])})["area"]
    # the largest gaps: below 4 three of four against none; below 4 one of four against none, at 4 two against all
    assert area["ks_distance"] == {"simulated": {"first": 0.75, "second": 0.5}, "second": {"first": 0.5}}
    assert area["quantiles"]["first"] == {"5": 1.15, "25": 1.75, "50": 2.5, "75": 3.25, "95": 3.85}
    assert (area["unit"], area["of"]) == ("px", "nuclei")


def test_a_contact_sheet_brightens_every_frame_by_itself() -> None:
    ramp = np.tile(np.arange(256), (256, 1))
    faint, bright = (ramp // 32).astype(np.uint8), (ramp * 257).astype(np.uint16)
    sheet = contact_sheet([faint, bright, np.full((256, 256), 7, np.uint8)], columns=2)
    side = (sheet.shape[0] - 4) // 2
    assert sheet.shape == (2 * side + 4, 2 * side + 4)
    for column in (0, 1):
        tile = sheet[4:side, 4 + column * side : (column + 1) * side]
        assert (tile.min(), tile.max()) == (0, 255)
    assert (sheet[side + 4 : 2 * side, 4:side] == 0).all()
    assert (sheet[side + 4 :, side:] == 255).all()


def test_the_figure_is_a_picture(tmp_path: Path) -> None:
    draw_distributions({"real": _group([5.0, 50, 90])}, {"simulated": _group([6.0, 40, 95])}, tmp_path / "figure.png")
    assert np.asarray(cv2.imread(str(tmp_path / "figure.png"))).ndim == 3


def test_a_report_says_what_was_compared_and_shows_simulated_frames_alone(tmp_path: Path) -> None:
    parts = {
        "training images": _samples(tmp_path / "data", [1, 2, 3]),
        "validation images": _samples(tmp_path / "more", [4, 5]),
    }
    report = write_report(
        parts, (range(3), range(900, 903)), tmp_path / "specimen", tmp_path / "pictures", "the command"
    )
    written = json.loads((tmp_path / "specimen" / "specimen.json").read_text(), parse_constant=pytest.fail)
    assert written == report
    assert written["command"] == "the command"
    assert [(name, group["kind"], group["images"]) for name, group in written["groups"].items()] == [
        ("training images", "real", 3),
        ("validation images", "real", 2),
        ("seeds 0-2", "simulated", 3),
        ("seeds 900-902", "simulated", 3),
    ]
    hashes = written["data_set"]["sha256"]
    assert sorted(map(len, hashes.values())) == [64, 64]
    assert len(set(hashes.values())) == 2
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {
        "specimen_distributions.png",
        "specimen_sheet.png",
    }
    sheet = np.asarray(cv2.imread(str(tmp_path / "pictures" / "specimen_sheet.png"), cv2.IMREAD_UNCHANGED))
    assert np.array_equal(sheet, contact_sheet(simulate(Specimen(seed=seed)).image for seed in SHEET_SEEDS))
    assert "seeds 900-902" in documents.rendered("<!-- numbers: specimen -->\n<!-- /numbers -->", tmp_path)


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    samples = _samples(tmp_path / "data", [1])
    with pytest.raises(OutputError, match="out cannot be written"):
        write_report({"real": samples}, (range(1),), tmp_path / "out", tmp_path, "the command")


def test_without_the_data_set_the_command_says_how_to_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNETPLUS_DATA", raising=False)
    result = CliRunner().invoke(main, ["--out", "out", "--pictures", "pictures"])
    assert result.exit_code == 12
    assert result.stderr.startswith("error: no data set: set UNETPLUS_DATA")


def test_fresh_seeds_are_none_of_those_that_the_specimen_was_tuned_with() -> None:
    assert not set(FRESH_SEEDS) & set(range(300))
    assert name_of(FRESH_SEEDS) == "seeds 500000-500099"


def test_the_page_has_tables_of_counts_distances_and_quantiles(tmp_path: Path) -> None:
    (tmp_path / "specimen").mkdir()
    (tmp_path / "specimen" / "specimen.json").write_text(
        json.dumps({
            "command": "python -m this",
            "groups": {
                "training images": {"kind": "real", "images": 433, "nuclei": 18457, "touching": 0.2605},
                "seeds 0-9": {"kind": "simulated", "images": 10, "nuclei": 200, "touching": 0.25},
            },
            "quantities": {
                "contrast_to_noise": {
                    "unit": "",
                    "of": "nuclei",
                    "quantiles": {
                        "training images": {"5": 3.671, "95": 139.8},
                        "seeds 0-9": {"5": 5.5, "95": 48.74},
                    },
                    "ks_distance": {"seeds 0-9": {"training images": 0.0966}},
                }
            },
        })
    )  # fmt: skip
    page = "<!-- numbers: specimen -->\nold\n<!-- /numbers -->\n"
    assert documents.rendered(page, tmp_path).splitlines() == [
        "<!-- numbers: specimen -->",
        "|  | images | nuclei | nuclei that touch another |",
        "| --- | ---: | ---: | ---: |",
        "| training images | 433 | 18,457 | 26.1 % |",
        "| seeds 0-9 | 10 | 200 | 25.0 % |",
        "",
        "| Kolmogorov-Smirnov distance | seeds 0-9 to training images |",
        "| --- | ---: |",
        "| contrast to noise, nuclei | 0.097 |",
        "",
        "| quantiles | 5 % | 95 % |",
        "| --- | ---: | ---: |",
        "| contrast to noise: training images | 3.67 | 140 |",
        "| contrast to noise: seeds 0-9 | 5.5 | 48.7 |",
        "",
        "```sh",
        "python -m this",
        "```",
        "<!-- /numbers -->",
    ]


def test_the_python_of_the_page_runs_as_shown() -> None:
    failed, tried = doctest.testfile(str(ROOT / "docs" / "specimen.md"), module_relative=False)
    assert (failed, tried > 0) == (0, True)


def test_the_committed_sheet_is_small_enough_for_a_page() -> None:
    assert (ROOT / "docs" / "images" / "specimen_sheet.png").stat().st_size < 700_000
