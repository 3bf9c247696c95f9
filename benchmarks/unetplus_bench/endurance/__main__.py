"""Play the faults: `python -m unetplus_bench.endurance --out FILE`.

The file is written anew after every part, so that what was finished before an interruption is kept.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from unetplus_bench.device import device_facts
from unetplus_bench.endurance.parts import PARTS, SOAK
from unetplus_bench.endurance.playing import play
from unetplus_bench.endurance.result import EnduranceResult, read_endurance
from unetplus_bench.endurance.stage import Model
from unetplus_edge.commands import Command, command_line
from unetplus_edge.errors import InputError, PartialResultError
from unetplus_edge.zoo import DEFAULT, find_bundle

if TYPE_CHECKING:
    from unetplus_bench.endurance.result import PartRecord


def _names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    names = tuple(PARTS) if value is None else tuple(value.split(","))
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)}: there is no such part; there are {', '.join(PARTS)}")
    return tuple(name for name in PARTS if name in names)


@click.command(cls=Command, epilog="Example: python -m unetplus_bench.endurance --out here.json --only kill,crash")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Result file, JSON.")
@click.option(
    "--only",
    "names",
    callback=_names,
    metavar="PART,...",
    help="Play these parts alone; others that the file holds stay as they are.",
)
@click.option("--short", is_flag=True, help="Everything a few times, in some minutes.")
@click.option("--soak", "soak_seconds", type=click.IntRange(10), metavar="SECONDS", help="Length of the soak.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the moments and places.")
@click.option("--bundle", default=DEFAULT, show_default=True, help="Model: a folder, or a name in the zoo.")
@click.option("--engine", default="auto", show_default=True, help="What runs it.")
@click.option("--threads", type=click.IntRange(1), help="Of the engine.  [default: every core]")
@click.option(
    "--scratch", type=click.Path(file_okay=False, exists=True, path_type=Path), help="Where temporary files go."
)
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def main(
    context: click.Context,
    out: Path,
    names: tuple[str, ...],
    short: bool,
    soak_seconds: int | None,
    seed: int,
    bundle: str,
    engine: str,
    threads: int | None,
    scratch: Path | None,
    quiet: bool,
) -> None:
    """Play faults with real daemons, and write what came of them.

    Exit code 0: every claim held. 17: some did not, or a part could not be finished.
    """
    if sys.platform != "linux":
        raise InputError("the daemon runs on Linux alone; play its faults there")
    model = Model(find_bundle(bundle).path, engine, threads)
    result = EnduranceResult(short=short, command=command_line(context), device=device_facts())
    if out.exists() and len(names) < len(PARTS):
        before = read_endurance(out)
        if before.short != short:
            raise InputError(f"{out} is of the {'short' if before.short else 'full'} form; name another --out")
        result = result.model_copy(update={"parts": before.parts})
    out.parent.mkdir(parents=True, exist_ok=True)
    for name in names:
        count = PARTS[name].short if short else PARTS[name].full
        if name == SOAK and soak_seconds is not None:
            count = soak_seconds
        part = play(name, count, model, seed, scratch, say=None if quiet else _say)
        known = {**result.parts, name: part}
        result = result.model_copy(update={"parts": {one: known[one] for one in PARTS if one in known}})
        result.write(out)
        if not quiet:
            _report(name, part)
    broken = [name for name in names if not result.parts[name].holds]
    if broken:
        raise PartialResultError(f"not everything holds in {', '.join(broken)}; see {out}")


def _say(words: str) -> None:
    click.echo(words, err=True)


def _report(name: str, part: PartRecord) -> None:
    times = sum(claim.times for claim in part.claims.values())
    said = "every claim held" if part.holds else part.error or "NOT EVERYTHING HOLDS"
    _say(f"{name}: {part.count} times, {times} looks, {part.seconds:.0f} s: {said}")
    for sentence, claim in part.claims.items():
        if claim.failures:
            _say(f"  {claim.failures} of {claim.times}: {sentence}: {claim.examples[0]}")


if __name__ == "__main__":
    main(prog_name="python -m unetplus_bench.endurance")
