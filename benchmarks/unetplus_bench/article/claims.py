"""What the article claims of its networks, and whether it holds here.

Its differences in per cent are read as points: 0.02 of average IOU is 2 %. "About" is within a
point, or within two per cent of a number of weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unetplus_bench.article.networks import FAMILIES, OTHER_L2, WIDTHS, name_of
from unetplus_bench.article.timing import times_of
from unetplus_edge.architecture_cost import architecture_cost
from unetplus_edge.architectures import architecture_from_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from unetplus_bench.article.record import ArticleResults

_ABOUT = 0.01
_ABOUT_SHARE = 0.02


@dataclass(frozen=True)
class Claim:
    """A sentence of the article beside what was found.

    Attributes
    ----------
    sentence
        What the article says.
    found
        In numbers; empty where something of it is not there.
    holds
        Null where that cannot be said yet.
    """

    sentence: str
    found: str
    holds: bool | None


def claims(results: ArticleResults) -> list[Claim]:
    """Return the article's claims, judged by what was measured here."""
    return [*_scores(results), *_widths(results), *_l2(results), *_losses(results), *_weights(), *_times(results)]


def _scores(results: ArticleResults) -> Iterator[Claim]:
    def above(sentence: str, width: int, better: Sequence[str], worse: str, key: str, least: float) -> Claim:
        pairs = [(name_of(one, width), name_of(worse, width)) for one in better]
        return _differences(results, sentence, pairs, key, lambda points: points > least)

    both, three = ("unet_plus_tc", "unet_plus_us"), ("unet_plus_plus", "unet_plus_tc", "unet_plus_us")
    iou = "average_iou_mean"
    yield above("B=16: both U-Net+ are above U-Net++ in average IOU", 16, both, "unet_plus_plus", iou, 0)
    yield above("B=8: both U-Net+ are slightly above U-Net++ in average IOU", 8, both, "unet_plus_plus", iou, 0)
    for width, least in ((16, 0.02), (8, 0.03)):
        yield above(
            f"B={width}: U-Net++ and both U-Net+ are more than {100 * least:g} % above U-Net in average IOU",
            *(width, three, "unet", iou, least),
        )
    yield above(
        "B=8: U-Net++ and both U-Net+ are more than 3 % above U-Net in precision",
        *(8, three, "unet", "article_precision", 0.03),
    )
    yield above("B=16: T.C. is above U.S. in average IOU", 16, ("unet_plus_tc",), "unet_plus_us", iou, 0)


def _widths(results: ArticleResults) -> Iterator[Claim]:
    def narrower(sentence: str, families: Sequence[str], holds: Callable[[float], bool]) -> Claim:
        pairs = [(name_of(family, 8), name_of(family, 16)) for family in families]
        return _differences(results, sentence, pairs, "average_iou_mean", holds)

    yield narrower(
        "From B=16 to B=8 the average IOU of U-Net++ and both U-Net+ hardly changes",
        ("unet_plus_plus", "unet_plus_tc", "unet_plus_us"),
        lambda points: abs(points) < _ABOUT,
    )
    yield narrower("From B=16 to B=8 the average IOU of U-Net falls slightly", ("unet",), lambda points: points < 0)


def _l2(results: ArticleResults) -> Iterator[Claim]:
    for width, other in OTHER_L2.items():
        yield _differences(
            results,
            f"B={width}: the L2 factor that was chosen raises U-Net++ in average IOU",
            [(name_of("unet_plus_plus", width), other)],
            "average_iou_mean",
            lambda points: points > 0,
        )


def _losses(results: ArticleResults) -> Iterator[Claim]:
    for width in WIDTHS:
        found = {family: _best_loss(results, name_of(family, width)) for family in FAMILIES}
        text = ", ".join(f"{FAMILIES[family]} {loss:.3f}" for family, loss in found.items() if loss is not None)
        known = [loss for loss in found.values() if loss is not None]
        worst = found["unet_plus_plus"]
        holds = None if len(known) < len(found) or worst is None else worst == max(known)
        yield Claim(f"B={width}: U-Net++ ends with the highest validation loss of the four", text, holds)


def _weights() -> Iterator[Claim]:
    count = {family: architecture_cost(architecture_from_name(name_of(family, 16))).weights for family in FAMILIES}
    for family, share in (("unet_plus_tc", 0.85), ("unet_plus_us", 0.75)):
        ours = count[family] / count["unet_plus_plus"]
        yield Claim(
            f"B=16: {FAMILIES[family]} has about {100 * share:g} % of the weights of U-Net++",
            f"{100 * ours:.1f} %",
            abs(ours - share) < _ABOUT_SHARE,
        )
    shares = {family: count[family] / count["unet"] for family in ("unet_plus_tc", "unet_plus_us")}
    yield Claim(
        "B=16: both U-Net+ have slightly fewer weights than U-Net",
        ", ".join(f"{FAMILIES[family]} {100 * share:.1f} %" for family, share in shares.items()),
        all(share < 1 for share in shares.values()),
    )


def _times(results: ArticleResults) -> Iterator[Claim]:
    for sentence, width, quick, slow in (
        ("B=16: U-Net and T.C. take less time than U-Net++", 16, ("unet", "unet_plus_tc"), ("unet_plus_plus",)),
        ("B=16: U.S. takes more time than T.C.", 16, ("unet_plus_tc",), ("unet_plus_us",)),
        ("B=8: U-Net takes less time than T.C.", 8, ("unet",), ("unet_plus_tc",)),
        ("B=8: T.C. takes less time than U-Net++ and U.S.", 8, ("unet_plus_tc",), ("unet_plus_plus", "unet_plus_us")),
    ):
        times = {
            family: times_of(results.times, name_of(family, width)).keras
            for family in FAMILIES
            if family in quick + slow
        }
        known = {family: time for family, time in times.items() if time is not None}
        text = ", ".join(f"{FAMILIES[family]} {time:.1f} ms" for family, time in known.items())
        holds = (
            max(known[family] for family in quick) < min(known[family] for family in slow)
            if len(known) == len(times)
            else None
        )
        yield Claim(f"{sentence} (Keras)", text, holds)


def _differences(
    results: ArticleResults,
    sentence: str,
    pairs: Sequence[tuple[str, str]],
    key: str,
    holds: Callable[[float], bool],
) -> Claim:
    found = {}
    for first, second in pairs:
        one, other = results.score(first, key), results.score(second, key)
        if one is not None and other is not None:
            found[first] = one - other
    text = ", ".join(f"{_family(name)} {100 * points:+.1f} points" for name, points in found.items())
    return Claim(sentence, text, all(map(holds, found.values())) if len(found) == len(pairs) else None)


def _family(name: str) -> str:
    return FAMILIES[name.rsplit("_b", 1)[0]]


def _best_loss(results: ArticleResults, name: str) -> float | None:
    losses = [min(epoch.validation_loss for epoch in record.log) for record in results.seeds(name)]
    return sum(losses) / len(losses) if losses else None
