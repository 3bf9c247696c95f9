"""What differs between two measurements beside their times, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unetplus_bench.device.words import lasting_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from unetplus_bench.results import BenchmarkResult, Row

_SHOWN_SCORE = 5e-5
_ROW_FACTS: Final = {
    "scope": "scope",
    "network": "network",
    "engine": "engine",
    "stored_precision": "stored precision",
    "executed_precision": "executed precision",
    "device": "device",
    "batch": "batch",
    "threads": "threads",
    "frame_shape": "frame",
    "rate": "frames a second",
}


def differences_of(a: BenchmarkResult, b: BenchmarkResult, pairs: Sequence[tuple[Row, Row]]) -> tuple[str, ...]:
    """Return what a reader of a comparison must know to differ.

    Parameters
    ----------
    a, b
        Before and after.
    pairs
        The rows that both have.

    Returns
    -------
    tuple of str
        A sentence each: of code and protocol, of the machine, of rows that have a counterpart in name alone,
        and of libraries, files and scores of the rows of both.
    """
    return (
        *_changes("the code", {"commit": a.commit}, {"commit": b.commit}),
        *_changes("the measurement", {"protocol": a.protocol}, {"protocol": b.protocol}),
        *_changes("the machine", lasting_facts(a.device), lasting_facts(b.device)),
        *_namesakes(a.rows, b.rows, pairs),
        *dict.fromkeys(sentence for pair in pairs for sentence in _of_a_pair(*pair)),
    )


def told_apart(a: Sequence[Row], b: Sequence[Row]) -> str:
    """Return why no row of one file is a row of the other, in one sentence without its stop."""
    for name, field in (("scope", "scope"), ("network", "network"), ("device", "device"), ("engine", "engine")):
        of_a, of_b = ({_said(_fact(row, field)) for row in rows} for rows in (a, b))
        if of_a.isdisjoint(of_b):
            return f"the {name} is {_list(of_a)} in the first, {_list(of_b)} in the second; compare those of one {name}"
    return "precision, batch, threads, frame or rate differ in every row; measure both with the same options"


def _of_a_pair(a: Row, b: Row) -> Iterator[str]:
    yield from _changes("the computing", {"library": a.library}, {"library": b.library}, only_known=True)
    if a.file_sha256 is not None and b.file_sha256 is not None and a.file_sha256 != b.file_sha256:
        yield f"the file of {a.name} is another one: sha256 {a.file_sha256[:12]} before, {b.file_sha256[:12]} after"
    elif a.file_bytes is not None and b.file_bytes is not None and a.file_bytes != b.file_bytes:
        yield f"the file of {a.name} is another one: {a.file_bytes:,} bytes before, {b.file_bytes:,} after"
    after = {one.images: one for one in b.accuracy}
    for before in a.accuracy:
        if before.images not in after:
            yield f"{a.name} is scored on the {_words(before.images)} in the first file alone"
            continue
        for field, name in (("kaggle_score", "Kaggle score"), ("average_iou", "average IOU")):
            old, new = getattr(before, field), getattr(after[before.images], field)
            if abs(new - old) >= _SHOWN_SCORE:
                yield f"{name} of {a.name} on the {_words(before.images)}: {old:.4f} before, {new:.4f} after"
    for images in set(after) - {one.images for one in a.accuracy}:
        yield f"{a.name} is scored on the {_words(images)} in the second file alone"


def _namesakes(a: Iterable[Row], b: Iterable[Row], pairs: Sequence[tuple[Row, Row]]) -> Iterator[str]:
    """Rows of the same name that are not of the same thing."""
    names = {pair[0].name for pair in pairs} | {pair[1].name for pair in pairs}
    of_b = {row.name: row for row in b}
    for row in a:
        other = of_b.get(row.name)
        if other is None or row.name in names:
            continue
        told = (
            f"{name} {_said(_fact(row, field))} before and {_said(_fact(other, field))} after"
            for field, name in _ROW_FACTS.items()
            if _fact(row, field) != _fact(other, field)
        )
        yield f"{row.name} is not compared: {', '.join(told)}"


def _changes(of: str, a: Mapping[str, Any], b: Mapping[str, Any], *, only_known: bool = False) -> Iterator[str]:
    for name in dict.fromkeys((*a, *b)):
        before, after = a.get(name), b.get(name)
        if before != after and not (only_known and None in (before, after)):
            yield f"{of}: {name} {_said(before)} before, {_said(after)} after"


def _fact(row: Row, field: str) -> Any:
    if field == "network":
        return None if row.network is None else row.network.name
    return getattr(row, field)


def _said(value: Any) -> str:
    if value is None:
        return "not known"
    return " x ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def _list(values: Iterable[str]) -> str:
    return ", ".join(sorted(values))


def _words(images: str) -> str:
    return images.replace("_", " ")
