"""The numbers of README and docs, written there from the committed result files.

A page marks where numbers stand: everything between ``<!-- numbers: NAME -->`` and
``<!-- /numbers -->`` is made by the function of that name in `RENDERERS`. `python -m
unetplus_bench.documents` rewrites all pages; a test holds pages and result files together.
"""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unetplus_bench.article import limits_page
from unetplus_bench.article import pages as article_pages
from unetplus_bench.endurance import page as endurance_page
from unetplus_bench.frame_path import page as fast_path_page
from unetplus_bench.report import page as speed_page
from unetplus_bench.report.markdown import markdown_table
from unetplus_edge.zoo import DEFAULT, WIDE

if TYPE_CHECKING:
    from collections.abc import Callable

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


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def _scores(results: Path, *, folder: str = "", engines: tuple[str, ...] = ("litert", "keras")) -> str:
    rows = []
    for name, title in (("test", "53 test images"), ("validation", "validation images")):
        for engine in engines:
            result = _read(results / "scores" / folder / f"{name}-{engine}" / "scores.json")
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
    return markdown_table([header, *rows])


def _scores_commands(results: Path) -> str:
    commands = [_read(path)["command"] for path in sorted((results / "scores").rglob("scores.json"))]
    return "\n".join(["```sh", *commands, "```"])


def _error_causes(results: Path) -> str:
    causes = _read(results / "scores" / "validation-litert" / "scores.json")["error_causes"]
    return markdown_table([["cause", "nuclei"], *([cause, str(count)] for cause, count in causes.items())])


def _specimen(results: Path) -> str:
    report = _read(results / "specimen" / "specimen.json")
    groups, quantities = report["groups"], report["quantities"]
    titles = {
        name: name.replace("_", " ") + (f", {content['unit']}" if content["unit"] else "")
        for name, content in quantities.items()
    }
    pairs = [(group, other) for group, to in next(iter(quantities.values()))["ks_distance"].items() for other in to]
    distances = markdown_table(
        [
            ["Kolmogorov-Smirnov distance", *(f"{group} to {other}" for group, other in pairs)],
            *(
                [
                    f"{name.replace('_', ' ')}, {content['of']}",
                    *(f"{content['ks_distance'][group][other]:.3f}" for group, other in pairs),
                ]
                for name, content in quantities.items()
            ),
        ]
    )
    levels = list(next(iter(next(iter(quantities.values()))["quantiles"].values())))
    quantiles = markdown_table(
        [
            ["quantiles", *(f"{level} %" for level in levels)],
            *(
                [f"{titles[name]}: {group}", *map(_three_digits, at.values())]
                for name, content in quantities.items()
                for group, at in content["quantiles"].items()
            ),
        ]
    )
    counts = markdown_table(
        [
            ["", "images", "nuclei", "nuclei that touch another"],
            *(
                [name, f"{group['images']:,}", f"{group['nuclei']:,}", f"{100 * group['touching']:.1f} %"]
                for name, group in groups.items()
            ),
        ]
    )
    return "\n\n".join([counts, distances, quantiles, f"```sh\n{report['command']}\n```"])


def _three_digits(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _conversions(results: Path, *, bundle: str = DEFAULT) -> str:
    report = _read(results / "conversions" / f"{bundle}.json")
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
    return "\n\n".join([markdown_table([header, *rows]), f"```sh\n{report['command']}\n```"])


RENDERERS: dict[str, Callable[[Path], str]] = {
    "scores": _scores,
    "scores-b16": partial(_scores, folder=WIDE, engines=("litert", "openvino", "keras")),
    "scores-commands": _scores_commands,
    "error-causes": _error_causes,
    "specimen": _specimen,
    "conversions": _conversions,
    "conversions-b16": partial(_conversions, bundle=WIDE),
    **speed_page.RENDERERS,
    **article_pages.RENDERERS,
    **limits_page.RENDERERS,
    **endurance_page.RENDERERS,
    **fast_path_page.RENDERERS,
}


def main() -> None:
    """Rewrite the pages of the checkout in the working folder, and the report of its results."""
    root = Path.cwd()
    results = root / "benchmarks" / "results"
    speed_page.committed_report(results, results / speed_page.MACHINE / "report")
    for page in pages(root):
        text = page.read_text()
        new = rendered(text, results)
        if new != text:
            page.write_text(new)
            sys.stdout.write(f"{page.relative_to(root)}\n")


if __name__ == "__main__":
    main()
