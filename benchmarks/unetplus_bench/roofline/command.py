"""`unetplus-bench roofline`: what this machine can do at most, and what each backend reaches of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from unetplus_bench.device import code_version, device_facts, warnings_about
from unetplus_bench.roofline.layer_costs import layer_traffic, network_cost
from unetplus_bench.roofline.peaks import measure_peaks
from unetplus_bench.roofline.roofline import choices, engine_roofs
from unetplus_edge.commands import Command, command_line, printable
from unetplus_edge.errors import InputError
from unetplus_edge.zoo import DEFAULT, find_bundle
from unetplus_runtime.engines import ENGINES
from unetplus_runtime.progress import progress_bar
from unetplus_runtime.results import write_text

if TYPE_CHECKING:
    from unetplus_bench.roofline.peaks import Peaks
    from unetplus_bench.roofline.roofline import EngineRoof, LayerRoof
    from unetplus_edge.manifest import EngineName


@click.command(
    "roofline", cls=Command, epilog="Example: unetplus-bench roofline --engine openvino --per-layer --threads 1"
)
@click.option("--bundle", default=DEFAULT, show_default=True, help="The model: a folder, or a name in the zoo.")
@click.option(
    "--engine",
    "engines",
    type=click.Choice(list(ENGINES)),
    multiple=True,
    help="What runs it; may be given again.  [default: every engine that has a verified conversion]",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of peaks and engines.  [default: every core]")
@click.option("--rounds", type=click.IntRange(min=1), default=20, show_default=True, help="Calls of every engine.")
@click.option("--seconds", type=click.FloatRange(min=0), default=1.0, show_default=True, help="For each peak.")
@click.option("--per-layer", is_flag=True, help="Ask each engine's profiler for its layers.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File for what --json prints.")
@click.option("--json", "as_json", is_flag=True, help="Print everything.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def main(
    context: click.Context,
    bundle: str,
    engines: tuple[EngineName, ...],
    threads: int | None,
    rounds: int,
    seconds: float,
    per_layer: bool,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure this machine's peaks, and what each engine reaches of them with one patch a call.

    Bytes are counted as if no layer's output stayed in a cache.
    """
    model = find_bundle(bundle)
    recipe = model.manifest.recipe
    cost = network_cost(recipe.architecture, recipe.patch_side)
    chosen = [choice for choice in choices(model) if choice[0] in (engines or ENGINES)]
    if "keras" in engines:
        chosen.append(("keras", "fp32"))
    if not chosen:
        raise InputError(
            f"{model.manifest.name} has nothing verified for {', '.join(engines) or 'any engine'}; run: "
            f"unetplus-export verify {bundle}"
        )
    before = device_facts()
    peaks = measure_peaks(threads, seconds)
    with progress_bar("timing", len(chosen) * (rounds + 1), quiet=quiet or as_json) as done:
        reached = engine_roofs(model, chosen, cost, peaks, rounds=rounds, per_layer=per_layer, done=done)
    after = device_facts()
    warnings = warnings_about(before, after)
    report = {
        "command": command_line(context),
        "commit": code_version(),
        "network": cost.name,
        "macs": cost.macs,
        "peaks": asdict(peaks),
        "layers": [asdict(layer) for layer in cost.layers],
        "engines": [_engine(one) for one in reached],
        "device": before,
        "warnings": list(warnings),
    }
    if out is not None:
        write_text(out, json.dumps(report, indent=1) + "\n")
    if as_json:
        click.echo(json.dumps(report, indent=1))
    elif not quiet:
        console = Console()
        for warning in warnings:
            click.echo(f"warning: {printable(warning)}", err=True)
        console.print(_peaks(peaks), _engines(cost.name, reached))
        for one in reached:
            if one.layers:
                console.print(_layers(one))
        without = (one for one in reached if one.without_layers and not one.layers)
        for said in dict.fromkeys(f"no layers of {one.engine}: {one.without_layers}" for one in without):
            click.echo(said, err=True)


def _engine(one: EngineRoof) -> dict[str, Any]:
    return {
        **{name: value for name, value in asdict(one).items() if name not in ("layers", "between")},
        "fraction": one.fraction,
        "layers": [
            {"name": of.layer.name, "roof": of.roof.seconds, "limit": of.roof.limit, "seconds": of.seconds}
            for of in one.layers
        ],
        "between": [part._asdict() for part in one.between],
    }


def _peaks(peaks: Peaks) -> Table:
    table = Table(title=f"At most, on this machine, {peaks.threads} threads", title_justify="left")
    table.add_column("of")
    table.add_column("a second", justify="right")
    table.add_column("measured by")
    for precision, peak in peaks.compute.items():
        table.add_row(precision, f"{peak.rate / 1e9:.1f} GMAC", peak.by)
    for precision, reason in peaks.refusals.items():
        table.add_row(precision, "-", reason)
    table.add_row("memory", f"{peaks.memory.rate / 1e9:.1f} GB", peaks.memory.by)
    return table


def _engines(network: str, reached: list[EngineRoof]) -> Table:
    table = Table(title=f"{network}, one patch a call", title_justify="left")
    table.add_column("engine")
    table.add_column("stored, executed")
    for column in ("ms", "at least, ms", "reached"):
        table.add_column(column, justify="right")
    for one in reached:
        fraction = f"{100 * one.fraction:.0f} %" if one.fraction is not None else printable(one.error or "-")
        table.add_row(one.engine, f"{one.stored}, {one.executed}", _ms(one.seconds), _ms(one.roof), fraction)
    return table


def _layers(one: EngineRoof) -> Table:
    table = Table(title=f"{one.engine} {one.executed}, by its profiler", title_justify="left")
    table.add_column("layer")
    for column in ("MMAC", "kB", "MAC/B", "ms", "at least, ms", "reached", "limited by"):
        table.add_column(column, justify="right")
    for of in one.layers:
        table.add_row(*_layer(of, one))
    named = sum(of.seconds or 0.0 for of in one.layers)
    between = sum(part.seconds for part in one.between)
    table.add_section()
    table.add_row(
        "all layers",
        "",
        "",
        "",
        _ms(named),
        _ms(one.roof),
        f"{100 * (one.roof or 0) / named:.0f} %" if named else "-",
        "",
    )
    table.add_row("beside them", "", "", "", _ms(between), "", "", "")
    return table


def _layer(of: LayerRoof, one: EngineRoof) -> tuple[str, ...]:
    size = layer_traffic(of.layer, one.executed)  # type: ignore[arg-type]
    reached = "-" if not of.seconds else f"{100 * of.roof.seconds / of.seconds:.0f} %"
    return (
        of.layer.name,
        f"{of.layer.macs / 1e6:.1f}",
        f"{size / 1e3:.0f}",
        f"{of.layer.macs / size:.1f}",
        _ms(of.seconds),
        _ms(of.roof.seconds),
        reached,
        of.roof.limit,
    )


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1e3 * seconds:.3f}"
