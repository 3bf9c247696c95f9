"""`unetplus-runtime status`: what a daemon does, on the terminal."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from unetplus_edge.commands import Command
from unetplus_edge.errors import InputError, NotRunningError
from unetplus_runtime.daemon.asking import daemon_options, data_dir_of
from unetplus_runtime.daemon.control import ask
from unetplus_runtime.daemon.status_text import last_record, sentences
from unetplus_runtime.records import RecordReader

if TYPE_CHECKING:
    from pathlib import Path

_WAIT = 5.0  # seconds that nothing may change before it is shown again


@click.command(cls=Command, epilog="Example: unetplus-runtime status --watch")
@daemon_options
@click.option("--json", "as_json", is_flag=True, help="Print all that is known as JSON, on one line.")
@click.option("--watch", is_flag=True, help="Print it again whenever something has changed, until interrupted.")
def status(config: Path | None, data_dir: str | None, as_json: bool, watch: bool) -> None:
    """Say what the daemon does: camera, counts, model, disk, troubles.

    Where no daemon runs it says so, shows the last record, and leaves with exit code 21.
    """
    folder = data_dir_of(config, data_dir)
    try:
        known = ask(folder, {"do": "status"})["status"]
        _show(known, as_json=as_json)
        while watch:
            known = ask(folder, {"do": "wait", "after": known["version"], "timeout": _WAIT}, 2 * _WAIT)["status"]
            _show(known, as_json=as_json, anew=True)
    except NotRunningError:
        _show_records(folder, as_json=as_json)
        raise


def _show(known: dict[str, Any], *, as_json: bool, anew: bool = False) -> None:
    if anew and not as_json:
        click.clear()  # of no effect where it is no terminal
    click.echo(json.dumps(known) if as_json else "\n".join(sentences(known)))


def _show_records(folder: Path, *, as_json: bool) -> None:
    """Show what is on the disk, if anything is."""
    try:
        with RecordReader(folder) as reader:
            last, totals = reader.last(), reader.totals()
    except InputError:
        last = totals = None
    if as_json:
        record = None if last is None else {"id": last.id, **asdict(last.record)}
        known = {"phase": "not running", "last_record": record, "totals": totals and asdict(totals)}
        click.echo(json.dumps(known, default=str))
    elif last is not None and totals is not None:
        click.echo("\n".join(last_record(last, totals)))
