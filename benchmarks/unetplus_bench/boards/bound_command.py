"""`unetplus-bench bound`: the least that a network can take on devices that are not at hand."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from unetplus_bench.boards.bound import article_reached, lower_bound, results_reached
from unetplus_bench.boards.datasheets import DEVICES, find_device
from unetplus_bench.results import read_result
from unetplus_bench.roofline.layer_costs import BYTES, network_cost
from unetplus_edge.architectures import architecture_from_name
from unetplus_edge.commands import Command, command_line, printable
from unetplus_edge.zoo import DEFAULT
from unetplus_runtime.results import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unetplus_bench.boards.bound import Bound, Reached
    from unetplus_bench.boards.figures import Device, Figure

_NOT_A_TIME = (
    "No measurement and no forecast: what does every product of the convolutions cannot take less, and takes more. (By "
    "Winograd's algorithm 3x3 convolutions have 2.25 to 4 times fewer products.) Layer by layer: the least for what "
    "computes one layer after the other and keeps nothing in a cache between them."
)


@click.command(
    "bound",
    cls=Command,
    epilog="Example: unetplus-bench bound --network unet_plus_tc_b8 --device 'Jetson Nano' nano.json",
)
@click.argument("results", nargs=-1, metavar="[RESULT]...", type=click.Path(path_type=Path))
@click.option(
    "--network", "networks", multiple=True, help=f"A network by its name; may be given again.  [default: {DEFAULT}]"
)
@click.option("--device", "devices", multiple=True, help="A device by its name; may be given again.  [default: all]")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Patches a call.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File for what --json prints.")
@click.option("--json", "as_json", is_flag=True, help="Print everything, with the source of every figure.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def main(
    context: click.Context,
    results: tuple[Path, ...],
    networks: tuple[str, ...],
    devices: tuple[str, ...],
    batch: int,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compute lower bounds from datasheets, and what was reached of them.

    What was reached is told of the article's own figures and of the RESULT files that are given.
    """
    chosen = tuple(map(find_device, devices)) or DEVICES
    costs = [network_cost(architecture_from_name(name)) for name in networks or (DEFAULT,)]
    bounds = [
        bound
        for cost in costs
        for device in chosen
        for precision in BYTES
        if (bound := lower_bound(device, cost, precision, batch)) is not None
    ]
    reached, apart = results_reached((path.name, read_result(path)) for path in results)
    reached = [*article_reached(), *reached]
    report = {
        "command": command_line(context),
        "devices": [_device(device) for device in chosen],
        "lower_bounds": [{**asdict(bound), "ms": bound.ms} for bound in bounds],
        "reached": [{**asdict(one), "fraction": one.fraction} for one in reached],
        "without_bound": apart,
    }
    if out is not None:
        write_text(out, json.dumps(report, indent=1) + "\n")
    if as_json:
        click.echo(json.dumps(report, indent=1))
    elif not quiet:
        tables = [_bounds(cost.name, [bound for bound in bounds if bound.network == cost.name]) for cost in costs]
        Console().print(Group(*tables, Text(_NOT_A_TIME), _reached(reached), *_notes(chosen), *map(Text, apart)))


def _device(device: Device) -> dict[str, Any]:
    return {
        "name": device.name,
        "multiprocessors": _figure(device.multiprocessors),
        "clock_hz": _figure(device.clock),
        "bandwidth": _figure(device.bandwidth),
        "macs_per_clock": {precision: _figure(rate) for precision, rate in device.rates.items()},
        "not_used": dict(device.refusals),
        "remark": device.remark,
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {"value": figure.value, "source": figure.source._asdict()}


def _bounds(network: str, bounds: list[Bound]) -> Table:
    table = Table(title=f"Lower bound, {network}", title_justify="left")
    table.add_column("device", no_wrap=True)
    table.add_column("precision")
    for column in ("lower bound, ms", "limited by", "layer by layer, ms"):
        table.add_column(column, justify="right")
    for bound in bounds:
        limit = "computing" if bound.compute_ms >= bound.memory_ms else "memory"
        table.add_row(bound.device, bound.precision, f"{bound.ms:.3f}", limit, f"{bound.layers_ms:.3f}")
    return table


def _reached(reached: list[Reached]) -> Table:
    table = Table(title="What was reached of the lower bound", title_justify="left")
    for column in ("measured by", "network", "device, precision"):
        table.add_column(column, overflow="fold")
    for column in ("measured, ms", "lower bound, ms", "reached"):
        table.add_column(column, justify="right")
    for one in reached:
        table.add_row(
            printable(f"{one.source} ({one.scope})"),
            one.bound.network,
            f"{one.bound.device}, {one.bound.precision}",
            f"{one.measured_ms:.2f}",
            f"{one.bound.ms:.3f}",
            f"{100 * one.fraction:.1f} %" + (" (!)" if one.fraction > 1 else ""),
        )
    return table


def _notes(devices: Iterable[Device]) -> list[Text]:
    notes = []
    for device in devices:
        told = [*filter(None, [device.remark]), *(f"no {name}: {why}" for name, why in device.refusals.items())]
        notes.append(Text(f"{device.name}: {'; '.join(told)}" if told else device.name))
        notes += [Text(f"  {source.title} {source.address}".rstrip()) for source in device.sources]
    return notes
