"""Whether `compare` can be trusted on a machine: equal engines must not be flagged, a slower one must be.

`python -m unetplus_bench.repeatability --out FILE` measures the default bundle again and again, for half a minute
each time. Each pair is two measurements of the same engines, compared with each other; beside it the first of
them is compared with a third one, in which one engine waits after every call until 1.15 times the call is over.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from unetplus_bench.comparing.compare import LIMIT, compare_results
from unetplus_bench.measuring.material import Material
from unetplus_bench.measuring.measure import measure
from unetplus_bench.measuring.plan import Wanted, planned_rows
from unetplus_bench.measuring.rounds import Schedule, steps
from unetplus_edge.commands import Command, command_line
from unetplus_edge.errors import EngineError, InputError, OutputError
from unetplus_edge.files import whole_file
from unetplus_edge.manifest import EngineName, Precision
from unetplus_edge.zoo import DEFAULT, find_bundle
from unetplus_runtime.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from unetplus_bench.comparing.compare import Comparison
    from unetplus_bench.measuring.plan import Planned
    from unetplus_bench.measuring.worker import Subject, Timed
    from unetplus_bench.results import BenchmarkResult, Row
    from unetplus_edge.bundle import Bundle

FACTOR: Final = 1.15
"""How much longer the calls of the slowed engine take."""

ROUNDS: Final = Schedule(rounds=240, seconds=0.05, warm_up=0.5)
"""Many rounds of a call or two: the nearer to each other two calls are, the more alike the machine is."""


@dataclass(frozen=True)
class SlowedSubject:
    """A subject whose calls take longer by a factor: it keeps a core busy until the time is over.

    Parameters
    ----------
    subject
        What is timed.
    factor
        Above 1.
    """

    subject: Subject
    factor: float = FACTOR

    def open(self) -> AbstractContextManager[Timed]:
        """See `unetplus_bench.measuring.worker.Subject`."""
        return self._open()

    @contextmanager
    def _open(self) -> Iterator[Timed]:
        with self.subject.open() as timed:
            if timed.seconds is not None:
                raise EngineError("what is timed by its own clock cannot be slowed from outside; take one on the CPU")

            def call() -> Mapping[str, float] | None:
                begin = time.perf_counter()
                told = timed.call()
                end = begin + self.factor * (time.perf_counter() - begin)
                while time.perf_counter() < end:
                    pass
                return told

            yield timed._replace(call=call)


def compared_rows(
    bundle: Bundle, engine: EngineName, precision: Precision, material: Material
) -> tuple[list[Planned], Row]:
    """Return the rows of every measurement, Keras first, and the one among them that is to be slowed.

    Raises
    ------
    InputError
        If the one to be slowed cannot be measured.
    """
    others = planned_rows([bundle], Wanted(engines=(engine,), precisions=(precision,)), material)
    slowed = others[0].row
    if slowed.error is not None:
        raise InputError(f"{slowed.name} cannot be measured: {slowed.error}")
    # Another file of the same engine may have failed its proof: nobody may measure that one.
    sound = [one for one in others if one.row.error is None]
    return [*planned_rows([bundle], Wanted(engines=("keras",)), material), *sound], slowed


def judged_pairs(
    planned: Sequence[Planned], slowed: str, pairs: int, measured: Callable[[Sequence[Planned]], BenchmarkResult]
) -> dict[str, list[Comparison]]:
    """Measure and compare.

    Parameters
    ----------
    planned
        The rows of every measurement, with the yardstick among them.
    slowed
        Name of the row that is slowed.
    pairs
        How many of each kind.
    measured
        Measures rows.

    Returns
    -------
    dict
        "equal" and "slowed": a comparison a pair.
    """
    slower = [
        replace(one, subject=SlowedSubject(one.subject)) if one.row.name == slowed and one.subject else one
        for one in planned
    ]
    found: dict[str, list[Comparison]] = {"equal": [], "slowed": []}
    for _ in range(pairs):
        before = measured(planned)
        found["equal"].append(compare_results(before, measured(planned)))
        found["slowed"].append(compare_results(before, measured(slower)))
    return found


def summary_of(comparisons: Mapping[str, Sequence[Comparison]], slowed: str) -> dict[str, Any]:
    """Return what a result file says of comparisons.

    Returns
    -------
    dict
        "equal" and "slowed": each with the number of "pairs"; "slowed_row_judged", those in which the slowed row
        was judged, which it is not on a busy machine; "flagged", those in which any row is slower;
        "slowed_row_flagged", those in which the slowed row is; "others_flagged", those in which another row is;
        "improvements", those in which any row is faster; and "comparisons", all of them.
    """
    return {
        kind: {
            "pairs": len(each),
            "slowed_row_judged": sum(
                any(row.name == slowed and row.verdict != "not judged" for row in one.rows) for one in each
            ),
            "flagged": sum(bool(one.regressions) for one in each),
            "slowed_row_flagged": sum(any(row.name == slowed for row in one.regressions) for one in each),
            "others_flagged": sum(any(row.name != slowed for row in one.regressions) for one in each),
            "improvements": sum(bool(one.improvements) for one in each),
            "comparisons": [asdict(one) for one in each],
        }
        for kind, each in comparisons.items()
    }


@click.command(cls=Command)
@click.option("--bundle", default=DEFAULT, show_default=True, help="A folder, or a name in the zoo.")
@click.option(
    "--engine",
    type=click.Choice(get_args(EngineName)),
    default="openvino",
    show_default=True,
    help="Which one is slowed.",
)
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    default="int8",
    show_default=True,
    help="Of its file, and of those of all others but Keras.",
)
@click.option("--pairs", type=click.IntRange(min=1), default=10, show_default=True, help="Of each kind.")
@click.option("--rounds", type=click.IntRange(min=1), default=ROUNDS.rounds, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Result file, JSON.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def main(
    ctx: click.Context,
    bundle: str,
    engine: EngineName,
    precision: Precision,
    pairs: int,
    rounds: int,
    out: Path,
    quiet: bool,
) -> None:
    """Compare equal measurements, and measurements of which one engine is 15 % slower, on this machine."""
    opened = find_bundle(bundle)
    schedule = replace(ROUNDS, rounds=rounds)
    with TemporaryDirectory(prefix="unetplus-bench-") as folder:
        planned, slowed = compared_rows(opened, engine, precision, Material(Path(folder)))
        first: list[BenchmarkResult] = []
        with progress_bar("measuring", 3 * pairs * len(planned) * steps(schedule), quiet=quiet) as done:

            def measured(rows: Sequence[Planned]) -> BenchmarkResult:
                result = measure(rows, schedule, command=command_line(ctx), done=done)
                first.append(result)
                failed = next((row for row in result.rows if row.error is not None), None)
                if failed is not None:
                    raise EngineError(f"{failed.name} could not be measured: {failed.error}")
                return result

            found = summary_of(judged_pairs(planned, slowed.name, pairs, measured), slowed.name)
    report = {
        "command": command_line(ctx),
        "commit": first[0].commit,
        "began": first[0].began,
        "ended": first[-1].ended,
        "device": first[0].device,
        "warnings": sorted({warning for result in first for warning in result.warnings}),
        "limit": LIMIT,
        "factor": FACTOR,
        "rounds": schedule.rounds,
        "seconds_a_turn": schedule.seconds,
        "slowed_row": slowed.name,
        **found,
    }
    try:
        with whole_file(out) as unfinished:
            unfinished.write_text(json.dumps(report, indent=1) + "\n")
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror}); name another file") from error
    if not quiet:
        for kind in ("equal", "slowed"):
            told = found[kind]
            click.echo(
                f"{kind}: {told['flagged']} of {pairs} comparisons flagged, {slowed.name} in "
                f"{told['slowed_row_flagged']}; it was judged in {told['slowed_row_judged']}"
            )


if __name__ == "__main__":
    main()
