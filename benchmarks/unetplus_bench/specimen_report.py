"""How much simulated nuclei are like real ones: numbers and two pictures of the simulated specimen.

`python -m unetplus_bench.specimen_report --out FOLDER --pictures FOLDER` measures the nuclei of the training
images and of simulated frames alike, and writes `specimen.json`, `specimen_distributions.png` and
`specimen_sheet.png`. The pictures show simulated frames and curves, never an image of the data set.
"""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
import cv2
import numpy as np
from rich.progress import track

import unetplus_edge
from unetplus_edge.commands import Command, command_line
from unetplus_edge.datasets import content_hash, open_dsb2018
from unetplus_edge.datasets.distributions import ks_distance, nucleus_distributions
from unetplus_edge.datasets.specimen import Specimen, simulate
from unetplus_edge.errors import InputError, OutputError
from unetplus_edge.evaluation import tiled
from unetplus_edge.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from unetplus_edge.datasets import Sample
    from unetplus_edge.datasets.distributions import NucleusDistributions

TUNED_SEEDS: Final = range(100)
"""Some of the seeds that the specimen was tuned with, 0-299."""

FRESH_SEEDS: Final = range(500_000, 500_100)
"""Seeds that nobody looked at while the specimen was tuned."""

TRAINING: Final = "training images"
VALIDATION: Final = "validation images"

SHEET_SEEDS: Final = range(24)
"""What the contact sheet shows."""

SIDE: Final = 256
"""Height and width of a simulated frame, px."""

LEVELS: Final = (5, 25, 50, 75, 95)
"""Quantiles that are reported, percent."""

OF_NUCLEI: Final = {"area": "px", "contrast_to_noise": "", "neighbour_distance": "px"}
"""What a nucleus is measured by, with units; see `NucleusDistributions`."""

OF_IMAGES: Final = {"background": "grey levels", "nuclei_per_megapixel": "1/Mpx"}
"""What an image is measured by, with units; every image counts once, whatever its size."""

_TILE = 192  # px
_GAP = 4  # px
_AXES = {
    "area": "area, px",
    "contrast_to_noise": "contrast to noise",
    "neighbour_distance": "distance to the nearest neighbour, px",
}


@dataclass(frozen=True, eq=False)
class Group:
    """Measurements of a set of frames.

    Attributes
    ----------
    images
        Number of frames.
    nuclei
        Number of nuclei in all of them.
    touching
        Fraction of nuclei that touch another one.
    quantities
        float64, shape (n,), by the names of `OF_NUCLEI` and `OF_IMAGES`: what could be measured, without NaN.
    """

    images: int
    nuclei: int
    touching: float
    quantities: dict[str, NDArray[np.float64]]


def group_of(measured: Iterable[NucleusDistributions]) -> Group:
    """Put the measurements of frames together.

    Parameters
    ----------
    measured
        One a frame.

    Raises
    ------
    InputError
        If a quantity could be measured nowhere: there is no frame, or none with two nuclei and some background.
    """
    frames = list(measured)
    quantities = {}
    for name in (*OF_NUCLEI, *OF_IMAGES):
        values = np.concatenate([np.empty(0), *(np.atleast_1d(getattr(frame, name)) for frame in frames)])
        quantities[name] = values[~np.isnan(values)]
        if not quantities[name].size:
            raise InputError(f"{len(frames)} frames have no {name} to measure; take frames that hold several nuclei")
    touching = np.concatenate([frame.touching for frame in frames])
    return Group(len(frames), len(touching), float(touching.mean()), quantities)


def measured_samples(samples: Iterable[Sample]) -> Group:
    """Measure images with their true labels, each as large as it is."""
    return group_of(nucleus_distributions(sample.image(), sample.labels()) for sample in samples)


def measured_seeds(seeds: Iterable[int], side: int = SIDE) -> Group:
    """Measure the default specimen, a frame of side x side px for each seed."""
    frames = (simulate(Specimen(height=side, width=side, seed=seed)) for seed in seeds)
    return group_of(nucleus_distributions(frame.image, frame.labels) for frame in frames)


def compared(real: Mapping[str, Group], simulated: Mapping[str, Group]) -> dict[str, dict[str, Any]]:
    """Return quantiles and distances of each quantity.

    Parameters
    ----------
    real, simulated
        Groups by name.

    Returns
    -------
    dict
        For each quantity: `unit`; `of`, "nuclei" or "images"; `quantiles`, by group and by level in percent;
        and `ks_distance`, the two-sample Kolmogorov-Smirnov statistic, by group and by real group: of
        every simulated group, and of every real group with those before it.
    """
    return {
        name: {
            "unit": unit,
            "of": "nuclei" if name in OF_NUCLEI else "images",
            "quantiles": {
                group: {
                    str(level): round(float(value), 3)
                    for level, value in zip(LEVELS, np.percentile(content.quantities[name], LEVELS), strict=True)
                }
                for group, content in {**real, **simulated}.items()
            },
            "ks_distance": _distances(name, real, simulated),
        }
        for name, unit in {**OF_NUCLEI, **OF_IMAGES}.items()
    }


def _distances(name: str, real: Mapping[str, Group], simulated: Mapping[str, Group]) -> dict[str, dict[str, float]]:
    def to(group: Group, others: Iterable[str]) -> dict[str, float]:
        return {other: round(ks_distance(group.quantities[name], real[other].quantities[name]), 4) for other in others}

    names = list(real)
    among_real = {group: to(real[group], names[:index]) for index, group in enumerate(names) if index}
    return {group: to(content, names) for group, content in simulated.items()} | among_real


def draw_distributions(real: Mapping[str, Group], simulated: Mapping[str, Group], path: Path) -> None:
    """Draw the cumulative distributions of what nuclei are measured by, a panel a quantity.

    Parameters
    ----------
    real, simulated
        Groups by name: solid and dashed lines.
    path
        The picture, PNG. An axis shows the range of the real nuclei, without the outermost 0.2 % at either end.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    figure = Figure(figsize=(12, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(OF_NUCLEI), sharey=True)
    for axes, name in zip(panels, OF_NUCLEI, strict=True):
        for groups, style in ((real, "-"), (simulated, "--")):
            for group, content in groups.items():
                axes.ecdf(content.quantities[name], linestyle=style, label=group)
        values = np.concatenate([content.quantities[name] for content in real.values()])
        low, high = np.percentile(values[values > 0], (0.2, 99.8))
        # each of them spans more than a factor of ten
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel(_AXES[name])
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("fraction of nuclei below")
    panels[0].legend(loc="upper left")
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=110)


def contact_sheet(images: Iterable[NDArray[Any]], columns: int = 6) -> NDArray[np.uint8]:
    """Return frames side by side, each brightened by itself and scaled to the same size.

    Parameters
    ----------
    images
        Unsigned integers, shape (height, width) each. The 1 and 99.8 percentiles of each become black and white.
    columns
        Frames in a row.

    Returns
    -------
    numpy.ndarray
        uint8 grey; rows are filled from the left, gaps and empty places are white.
    """
    return tiled((_brightened(image) for image in images), columns, _TILE, _GAP)


def _brightened(image: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = np.percentile(image, (1, 99.8))
    shade = (image - low) / max(high - low, 1.0)
    return np.asarray(np.round(255 * np.clip(shade, 0, 1)), np.uint8)


def name_of(seeds: range) -> str:
    """Return what tables and legends call a range of seeds."""
    return f"seeds {seeds[0]}-{seeds[-1]}"


def write_report(
    parts: Mapping[str, Sequence[Sample]], ranges: Sequence[range], out: Path, pictures: Path, command: str
) -> dict[str, Any]:
    """Measure, compare and write the result file and both pictures.

    Parameters
    ----------
    parts
        Real images with their truth, by the name that tables and legends call them.
    ranges
        Seeds of simulated frames.
    out
        Folder for `specimen.json`.
    pictures
        Folder for `specimen_distributions.png` and `specimen_sheet.png`.
    command
        How to do it again, for the result file.

    Returns
    -------
    dict
        The content of the result file.

    Raises
    ------
    InputError
        If a part or a range has no nuclei to measure.
    OutputError
        If a folder cannot be written.
    """
    real = {name: measured_samples(_shown(samples, name)) for name, samples in parts.items()}
    simulated = {name_of(seeds): measured_seeds(_shown(seeds, name_of(seeds))) for seeds in ranges}
    result = {
        "command": command,
        "data_set": {
            "name": "dsb2018",
            "labels": "fixed",
            "sha256": {name: content_hash(samples) for name, samples in parts.items()},
        },
        "tools": {
            "unetplus-edge": unetplus_edge.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
        "frame": [SIDE, SIDE],
        "groups": {
            name: {
                "kind": "real" if name in real else "simulated",
                "images": group.images,
                "nuclei": group.nuclei,
                "touching": round(group.touching, 4),
            }
            for name, group in {**real, **simulated}.items()
        },
        "quantities": compared(real, simulated),
    }
    sheet = contact_sheet(simulate(Specimen(height=SIDE, width=SIDE, seed=seed)).image for seed in SHEET_SEEDS)
    try:
        for folder in (out, pictures):
            folder.mkdir(parents=True, exist_ok=True)
        with whole_file(pictures / "specimen_sheet.png") as unfinished:
            unfinished.write_bytes(cv2.imencode(".png", sheet, (cv2.IMWRITE_PNG_COMPRESSION, 9))[1].tobytes())
        draw_distributions(real, simulated, pictures / "specimen_distributions.png")
        with whole_file(out / "specimen.json") as unfinished:
            unfinished.write_text(json.dumps(result, indent=1) + "\n")
    except OSError as error:
        raise OutputError(
            f"{error.filename or out} cannot be written ({error.strerror}); name another folder"
        ) from error
    return result


_T = TypeVar("_T")


def _shown(items: Sequence[_T], what: str) -> Iterable[_T]:
    """Return the items, with a bar on a terminal that follows them."""
    return track(items, description=what, transient=True, disable=not sys.stdout.isatty())


@click.command(cls=Command)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for specimen.json.")
@click.option("--pictures", type=click.Path(path_type=Path), required=True, help="Folder for the two pictures.")
@click.pass_context
def main(ctx: click.Context, out: Path, pictures: Path) -> None:
    """Compare simulated nuclei with those of the data set in $UNETPLUS_DATA."""
    data = open_dsb2018(labels="fixed")
    parts = {TRAINING: list(data.learnt_from), VALIDATION: list(data.validation)}
    result = write_report(parts, (TUNED_SEEDS, FRESH_SEEDS), out, pictures, command_line(ctx))
    for name, quantity in result["quantities"].items():
        click.echo(f"{name}: {json.dumps(quantity['ks_distance'])}")


if __name__ == "__main__":
    main()
