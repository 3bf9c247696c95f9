"""The times of the article's models by its own protocol: on Keras, and on what is faster here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from unetplus_bench.article.scoring import by_the_article
from unetplus_bench.measuring.material import Material
from unetplus_bench.measuring.measure import measure
from unetplus_bench.measuring.plan import Wanted, planned_rows
from unetplus_bench.measuring.rounds import Schedule
from unetplus_bench.statistics import median_ms
from unetplus_edge.bundle import open_bundle, update_manifest
from unetplus_edge.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from unetplus_bench.results import BenchmarkResult, Row
    from unetplus_edge.bundle import Bundle

PROTOCOL: Final = Schedule(rounds=5, calls=174, images="test_images")
"""All patches of the test images one by one, five times (Long 2020, "Results")."""

CONVERSIONS: Final = (("openvino", "fp32"), ("openvino", "int8"))
"""What is made of each model to be timed beside Keras: target and precision."""

_EXPORT = "from unetplus_export.command import main; main()"
_MADE = (0, 3, 4, 5)  # exit codes of an export that went its way: verified, impossible here, not verified, too lossy


def timed(
    bundles: Mapping[str, Bundle],
    command: str,
    *,
    conversions: tuple[tuple[str, str], ...] = CONVERSIONS,
    schedule: Schedule = PROTOCOL,
    tell: Callable[[str], None] = lambda sentence: None,
) -> BenchmarkResult:
    """Measure models in turns, each on Keras and on its conversions.

    Conversions are made in copies of the bundles and verified there; one that does not keep its
    limits has no row.

    Parameters
    ----------
    bundles
        By name; names of architectures that differ.
    command
        As it was typed.
    conversions
        Target and precision of each.
    schedule
        How often.
    tell
        Told what is being done.

    Raises
    ------
    ConversionError
        If an export fails for another reason than that it is impossible here or too lossy.
    """
    with TemporaryDirectory(prefix="unetplus-article-") as folder:
        copies = []
        for name, bundle in bundles.items():
            tell(f"converting {name}")
            copies.append(_converted(bundle, Path(folder) / name, conversions))
        material = Path(folder) / "material"
        material.mkdir()
        planned = planned_rows(copies, Wanted(test_patches=True), Material(material))
        tell(f"measuring {len(planned)} rows")
        return measure(planned, schedule, command=command, protocol="article")


def _converted(bundle: Bundle, path: Path, conversions: tuple[tuple[str, str], ...]) -> Bundle:
    shutil.copytree(bundle.path, path)
    copy = open_bundle(path)
    # In the file, because every row is opened by a process of its own.
    update_manifest(copy, by_the_article(copy).manifest)
    for target, precision in conversions:
        arguments = ["convert", str(path), "--target", target, "--precision", precision, "--quiet"]
        made = subprocess.run([sys.executable, "-c", _EXPORT, *arguments], capture_output=True, text=True, check=False)
        if made.returncode not in (*_MADE, ConversionError.exit_code):
            said = made.stderr.strip().splitlines()
            raise ConversionError(
                f"{bundle.path} cannot be converted to {target} {precision}: {said[-1] if said else made.returncode}"
            )
    return open_bundle(path)


class ModelTimes(NamedTuple):
    """Times of a model.

    Attributes
    ----------
    keras
        Median milliseconds a patch on Keras.
    best
        The row of the fastest engine whose file is verified, Keras among them; null where nothing was
        measured.
    best_ms
        Its median milliseconds.
    """

    keras: float | None
    best: Row | None
    best_ms: float | None


def times_of(result: BenchmarkResult | None, network: str) -> ModelTimes:
    """Return the times of a network in a result of `timed`."""
    rows = [] if result is None else [row for row in result.rows if row.network and row.network.name == network]
    measured = {row.name: ms for row in rows if row.verified and (ms := median_ms(row)) is not None}
    keras = next((measured[row.name] for row in rows if row.engine == "keras" and row.name in measured), None)
    best = min((row for row in rows if row.name in measured), key=lambda row: measured[row.name], default=None)
    return ModelTimes(keras, best, measured[best.name] if best else None)
