"""The numbers of README and docs, written there from the committed result files.

A page marks where numbers stand: everything between ``<!-- numbers: NAME -->`` and
``<!-- /numbers -->`` is made by the function of that name in `RENDERERS`. `python -m
unetplus_bench.documents` rewrites all pages; a test holds pages and result files together.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unetplus_bench.article import pages as article_pages
from unetplus_bench.device.words import device_title
from unetplus_bench.endurance import page as endurance_page
from unetplus_bench.report.columns import SPEED
from unetplus_bench.results import read_result

if TYPE_CHECKING:
    from collections.abc import Callable

MACHINE = "epyc-2-cores"
"""The folder of results whose speed the README shows: two cores of a server, without a GPU."""

_SPEED_COLUMNS = {
    "row": "bundle, engine, stored precision",
    "p50, ms": "ms/patch, median",
    "p95, ms": "95 %",
    "Kaggle score, validation": "Kaggle score, validation images",
    "to Keras": "to Keras",
    "executed": "executed precision",
}

_BLOCK = re.compile(r"(<!-- numbers: ([\w-]+) -->\n)(.*?)(<!-- /numbers -->)", re.DOTALL)


def pages(root: Path) -> list[Path]:
    """Return README.md and the pages of docs/ below the root of a checkout."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def rendered(text: str, results: Path) -> str:
    """Return a page with every block of numbers made anew.

    Parameters
    ----------
    text
        Markdown.
    results
        The folder of result files, `benchmarks/results`.

    Raises
    ------
    KeyError
        If a block names no renderer.
    """
    return _BLOCK.sub(lambda block: f"{block[1]}{RENDERERS[block[2]](results)}\n{block[4]}", text)


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table whose columns after the first are aligned to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def _scores(results: Path) -> str:
    rows = []
    for name, title in (("test", "53 test images"), ("validation", "validation images")):
        for engine in ("litert", "keras"):
            result = _read(results / "scores" / f"{name}-{engine}" / "scores.json")
            for method, scores in (("cores", result["scores"]), ("the article's", result["article_method"]["scores"])):
                rows.append(
                    [
                        title,
                        method,
                        f"{engine}, {result['executed_precision']}",
                        f"{scores['average_iou_mean']:.3f} ± {scores['average_iou_std']:.3f}",
                        *(
                            f"{scores[key]:.3f}"
                            for key in ("article_precision", "kaggle_score", "ap50_mean", "ap50_pooled", "dice")
                        ),
                    ]
                )
    header = [
        "images",
        "nuclei by",
        "engine",
        "average IOU",
        "article's precision",
        "Kaggle score",
        "AP50, image mean",
        "AP50, pooled",
        "Dice",
    ]
    return table(header, rows)


def _scores_commands(results: Path) -> str:
    commands = [_read(path)["command"] for path in sorted((results / "scores").glob("*/scores.json"))]
    return "\n".join(["```sh", *commands, "```"])


def _error_causes(results: Path) -> str:
    causes = _read(results / "scores" / "validation-litert" / "scores.json")["error_causes"]
    return table(["cause", "nuclei"], [[cause, str(count)] for cause, count in causes.items()])


def _specimen(results: Path) -> str:
    report = _read(results / "specimen" / "specimen.json")
    groups, quantities = report["groups"], report["quantities"]
    titles = {
        name: name.replace("_", " ") + (f", {content['unit']}" if content["unit"] else "")
        for name, content in quantities.items()
    }
    pairs = [(group, other) for group, to in next(iter(quantities.values()))["ks_distance"].items() for other in to]
    distances = table(
        ["Kolmogorov-Smirnov distance", *(f"{group} to {other}" for group, other in pairs)],
        [
            [
                f"{name.replace('_', ' ')}, {content['of']}",
                *(f"{content['ks_distance'][group][other]:.3f}" for group, other in pairs),
            ]
            for name, content in quantities.items()
        ],
    )
    levels = list(next(iter(next(iter(quantities.values()))["quantiles"].values())))
    quantiles = table(
        ["quantiles", *(f"{level} %" for level in levels)],
        [
            [f"{titles[name]}: {group}", *(f"{value:.3g}" if value < 100 else f"{value:.0f}" for value in at.values())]
            for name, content in quantities.items()
            for group, at in content["quantiles"].items()
        ],
    )
    counts = table(
        ["", "images", "nuclei", "nuclei that touch another"],
        [
            [name, f"{group['images']:,}", f"{group['nuclei']:,}", f"{100 * group['touching']:.1f} %"]
            for name, group in groups.items()
        ],
    )
    return "\n\n".join([counts, distances, quantiles, f"```sh\n{report['command']}\n```"])


def _conversions(results: Path) -> str:
    report = _read(results / "conversions" / "unet_plus_tc_b8.json")
    rows = []
    for row in report["conversions"]:
        parity, drop, test = row["parity"], row["score_drop"], row.get("test_images")
        stored = row["stored_precision"] + (f", rest {row['remainder']}" if row["remainder"] == "fp16" else "")
        rows.append(
            [
                f"{row['target']} {stored}",
                f"{row['bytes'] / 1e6:.2f}",
                f"{row['engine']}, {row['executed_precision']}",
                f"{parity['max_difference']:.1e}" if parity else "-",
                f"{parity['flipped_per_million']:.0f}" if parity else "-",
                *(f"{drop[name]:+.4f}" if drop else "-" for name in ("average_iou", "kaggle_score")),
                *(f"{test['drop'][name]:+.4f}" if test else "-" for name in ("average_iou", "kaggle_score")),
                f"{test['images_with_equal_counts']} of {test['images']}" if test else "-",
                "yes" if row["verified"] else "no",
            ]
        )
    header = [
        "file",
        "MB",
        "engine, executed",
        "largest difference",
        "flipped / million",
        "IOU drop, validation",
        "Kaggle drop, validation",
        "IOU drop, test",
        "Kaggle drop, test",
        "equal counts, test",
        "verified",
    ]
    return "\n\n".join([table(header, rows), f"```sh\n{report['command']}\n```"])


def _speed(results: Path) -> str:
    result = read_result(results / MACHINE / "net.json")
    kept = [column for column in SPEED if column.title in _SPEED_COLUMNS]
    rows = [[column.cell(row, result) for column in kept] for row in result.rows if row.error is None]
    header = [_SPEED_COLUMNS[column.title] for column in kept]
    return "\n\n".join(
        [f"{device_title(result.device)}:", table(header, rows), f"```sh\n{result.command}\n```"],
    )


RENDERERS: dict[str, Callable[[Path], str]] = {
    "scores": _scores,
    "scores-commands": _scores_commands,
    "error-causes": _error_causes,
    "specimen": _specimen,
    "conversions": _conversions,
    "speed": _speed,
    **article_pages.RENDERERS,
    **endurance_page.RENDERERS,
}


def main() -> None:
    """Rewrite the pages of the checkout in the working folder."""
    root = Path.cwd()
    for page in pages(root):
        text = page.read_text()
        new = rendered(text, root / "benchmarks" / "results")
        if new != text:
            page.write_text(new)
            sys.stdout.write(f"{page.relative_to(root)}\n")


if __name__ == "__main__":
    main()
