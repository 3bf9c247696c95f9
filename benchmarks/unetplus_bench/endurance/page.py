"""The blocks of README and docs that are made of the result file of the endurance run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unetplus_bench.device.words import device_title
from unetplus_bench.endurance.parts import SOAK
from unetplus_bench.endurance.result import read_endurance, runtime_hash
from unetplus_bench.report.markdown import escaped, markdown_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from unetplus_bench.endurance.result import EnduranceResult, PartRecord

FILE: Final = "endurance/epyc-2-cores.json"
"""The result file, below `benchmarks/results`; without it pages have no such blocks."""

_RUNTIME = ("runtime", "unetplus_runtime")
_SPREAD = ("p50", "p99", "most")
_SHARES = ("growth",)


def summary(results: Path) -> str:
    """Return what was done how often, whether it held, what the soak has measured, and whether it is out of date.

    Parameters
    ----------
    results
        `benchmarks/results` of a checkout.
    """
    result = read_endurance(results / FILE)
    lines = [["what was done", "times", "frames announced", "checks", "failed", "minutes"]]
    lines += [_line(part) for name, part in result.parts.items() if name != SOAK]
    soak = result.parts.get(SOAK)
    blocks = [
        *(f"> {sentence}" for sentence in out_of_date(result, results)),
        f"{escaped(device_title(result.device))}:",
        markdown_table(lines),
        *([] if soak is None else [_soak_title(soak), figures_of(soak)]),
        f"```sh\n{result.command}\n```",
    ]
    return "\n\n".join(blocks)


def claims(results: Path) -> str:
    """Return every claim of every part, how often it was looked at, and how often it did not hold."""
    lines = [["claim", "part", "checks", "failed"]]
    for name, part in read_endurance(results / FILE).parts.items():
        for sentence, claim in part.claims.items():
            lines.append([escaped(sentence), name, f"{claim.times:,}", f"{claim.failures:,}"])
    return markdown_table(lines)


def figures(results: Path) -> str:
    """Return everything that was counted and measured, a table a part."""
    parts = read_endurance(results / FILE).parts.items()
    return "\n\n".join(f"`{name}`, {part.what}:\n\n{figures_of(part)}" for name, part in parts if part.figures)


def out_of_date(result: EnduranceResult, results: Path) -> list[str]:
    """Return a sentence for every commit whose runtime was another than the one that is in the checkout now."""
    now = runtime_hash(results.parents[1].joinpath(*_RUNTIME))
    old: dict[str, list[str]] = {}
    for name, part in result.parts.items():
        if part.runtime != now:
            old.setdefault(f"commit {part.commit}" if part.commit else "other code", []).append(name)
    return [
        f"Measured with {of}: {', '.join(names)}. `runtime/` was changed after that; `make endurance` measures again."
        for of, names in old.items()
    ]


def figures_of(part: PartRecord) -> str:
    """Return the figures of a part as a table; of what was measured often the median, 99 % and the most."""
    lines = [["", "", "median", "99 %", "most"]]
    for name, value in part.figures.items():
        if isinstance(value, dict) and set(_SPREAD) <= set(value):
            lines.append([escaped(name), f"{value['count']:,} times", *(_said(value[key]) for key in _SPREAD)])
        else:
            lines.append([escaped(name), f"{value:+.3%}" if name in _SHARES else _said(value), "", "", ""])
    return markdown_table(lines)


def _soak_title(soak: PartRecord) -> str:
    held = f"{_times(soak)} checks, {_failed(soak)} failed"
    return f"{soak.count / 60:.0f} minutes at the highest rate that this machine holds ({held}):"


def _line(part: PartRecord) -> list[str]:
    frames = part.figures.get("frames announced", 0)
    return [part.what, f"{part.count:,}", f"{frames:,}", _times(part), _failed(part), f"{part.seconds / 60:.1f}"]


def _times(part: PartRecord) -> str:
    return f"{sum(claim.times for claim in part.claims.values()):,}"


def _failed(part: PartRecord) -> str:
    return f"{part.failures:,}" if part.error is None else f"{part.failures:,}; not finished: {escaped(part.error)}"


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return escaped(", ".join(f"{name}: {_said(inner)}" for name, inner in value.items())) or "none"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else escaped(str(value))


RENDERERS: Final[Mapping[str, Callable[[Path], str]]] = {
    "endurance": summary,
    "endurance-claims": claims,
    "endurance-figures": figures,
}
"""Makers of the blocks, by name; each takes `benchmarks/results`."""
