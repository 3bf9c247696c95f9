"""The blocks of docs/reproduction.md that are made of the article's result files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from unetplus_bench.article.figures import OVERLAYS, losses_file
from unetplus_bench.article.limits import read_limits
from unetplus_bench.article.networks import WIDTHS, name_of, tabled, title_of
from unetplus_bench.article.record import ArticleResults
from unetplus_bench.article.scoring import ARTICLES
from unetplus_bench.article.tables import tables
from unetplus_bench.device.words import device_title
from unetplus_bench.report.markdown import escaped, markdown_table
from unetplus_edge.training.suite import article_suite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from unetplus_bench.article.tables import Cells
    from unetplus_edge.imaging.tv import Scheme
    from unetplus_edge.training.recipe import Precision


_SCHEMES: Final[Mapping[Scheme, str]] = {
    "chambolle": "Chambolle's scheme of 2004",
    "primal_dual": "Chambolle and Pock's primal-dual scheme of 2011, which are as near to the solution as 30 of "
    "Chambolle's of 2004,",
}


_PRECISIONS: Final[Mapping[Precision, str]] = {
    "float32": "float32",
    "mixed_bfloat16": "bfloat16 while training, but for weights and loss; the models themselves compute in float32",
}


def _lines(cells: Cells) -> str:
    return markdown_table([cells.header, *cells.rows])


def _table(name: str, results: Path) -> str:
    return _lines(tables(ArticleResults(results / "article"))[name])


def _seeds(results: Path) -> str:
    found = tables(ArticleResults(results / "article")).get("article-seeds")
    return _lines(found) if found else "Every network was trained with one seed so far."


def _controlled(results: Path) -> str:
    found, key = ArticleResults(results / "article"), "average_iou_mean"
    names = ("unet_plus_plus_b8", "unet_plus_plus_controlled_b8", "unet_plus_tc_b8")
    published, controlled, tc = (found.score(name, key) for name in names)
    if published is None or controlled is None or tc is None:
        return "How much of the ranking is due to these differences is not known yet."
    return (
        f"These differences are worth {100 * (controlled - published):+.1f} points of average IOU, where U-Net+ T.C., "
        f"B=8, is at {100 * (tc - published):+.1f} to the U-Net++ of the table."
    )


def _machine(results: Path) -> str:
    times = ArticleResults(results / "article").times
    if times is None:
        return "Times were not measured yet."
    warnings = [f"> {escaped(warning)}" for warning in times.warnings]
    return "\n\n".join([f"Times are of {escaped(device_title(times.device))}.", *warnings])


def _recipe(_: Path) -> str:
    recipe = article_suite()[0].recipe
    change = recipe.augmentation
    few = (
        "",
        "The article learns from all patches in every epoch. Here an epoch draws some of them anew, so that all "
        "trainings take hours on two cores: the article's models have seen more.",
    )
    epoch = "all patches" if recipe.patches_per_epoch is None else f"{recipe.patches_per_epoch} patches"
    return "\n".join(
        [
            f"- {recipe.epochs} epochs of {epoch}, Adam at {recipe.learning_rate:g}, batches of {recipe.batch_size}; "
            "the model of the lowest validation loss is kept;",
            f"- computed in {_PRECISIONS[recipe.precision]};",
            *(f"- {_longer(width)};" for width in sorted(WIDTHS)),
            f"- {recipe.random_patches} random patch an image beside the grid, kept where nucleus / background is "
            f"above {recipe.min_foreground_ratio:g}; masks as released, without a gap between nuclei;",
            f"- mirrored and turned by quarters at random; with probability {change.rotation:g} rotated by any angle "
            f"and zoomed by up to {change.zoom:g}; with {change.blur:g} blurred; contrast changed by up to "
            f"{change.contrast:g}, brightness by {change.brightness:g} of the image's range;",
            f"- CLAHE with tiles of {recipe.preprocessing.clahe_tile} pixels and clip limit "
            f"{recipe.preprocessing.clahe_clip:g}; {recipe.preprocessing.tv_iterations} iterations of "
            f"{_SCHEMES[recipe.preprocessing.tv_scheme]} at total-variation weight {recipe.preprocessing.tv_weight:g};",
            f"- smoothing of the Dice coefficient {recipe.dice_smoothing:g};",
            f"- a pixel is nucleus above {ARTICLES.threshold:g}, as in the article; holes of at most "
            f"{ARTICLES.max_hole_area} pixels are filled, nuclei of fewer than {ARTICLES.min_nucleus_area} removed.",
            *(few if recipe.patches_per_epoch is not None else ()),
        ]
    )


def _longer(width: int) -> str:
    name = name_of("unet_plus_plus", width)
    recipe = next(member.recipe for member in article_suite() if member.name == name)
    return (
        f"{title_of(name)}: {recipe.extra_epochs} more epochs at {recipe.extra_learning_rate:g}, L2 factor "
        f"{recipe.architecture.l2:g}"
    )


def _figure_losses(results: Path) -> str:
    found = ArticleResults(results / "article")
    pictures = [
        f"![Validation loss by epoch, B={width}](images/{losses_file(width)})"
        for width in WIDTHS
        if any(name in found.records for name in tabled() if name.endswith(f"_b{width}"))
    ]
    return "\n\n".join(pictures) or "Nothing is trained yet."


def _figure_overlays(results: Path) -> str:
    figures = ArticleResults(results / "article").figures
    if figures is None:
        return "Not drawn yet."
    names = ", ".join(title_of(name) for name in figures.models)
    images = "\n".join(f"- `{image}`" for image in figures.images)
    return (
        f"![Overlays of six test images](images/{OVERLAYS})\n\nFrom left to right: the image, {names}. From top to "
        f"bottom, of the data set's test images:\n\n{images}"
    )


def _commands(results: Path) -> str:
    found = ArticleResults(results / "article")
    others = (found.times, found.figures, read_limits(results / "article"))
    commands = {record.command for record in (*found.records.values(), *others) if record is not None}
    return "\n".join(["```sh", *(sorted(commands) or ["unetplus-bench article --measure --figures"]), "```"])


RENDERERS: Final[dict[str, Callable[[Path], str]]] = {
    **{
        name: partial(_table, name)
        for name in (
            *(f"article-table-{width}" for width in WIDTHS),
            *("article-ablations", "article-losses", "article-claims"),
        )
    },
    "article-controlled": _controlled,
    "article-seeds": _seeds,
    "article-machine": _machine,
    "article-recipe": _recipe,
    "article-figure-losses": _figure_losses,
    "article-figure-overlays": _figure_overlays,
    "article-commands": _commands,
}
"""Makers of the blocks, by name; each takes `benchmarks/results`."""
