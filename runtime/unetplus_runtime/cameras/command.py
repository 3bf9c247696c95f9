"""`unetplus-runtime cameras`: which cameras there are here."""

from __future__ import annotations

import json
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from unetplus_edge.commands import Command
from unetplus_runtime.cameras.listing import list_cameras


@click.command(cls=Command, epilog="Example: unetplus-runtime cameras --json")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def cameras(as_json: bool) -> None:
    """List the cameras that can be reached, and what those need that cannot.

    No camera is opened for that.
    """
    listed = list_cameras()
    if as_json:
        click.echo(json.dumps([asdict(camera) for camera in listed], indent=2))
        return
    table = Table()
    for column in ("camera", "source", "what", "here", "needs"):
        table.add_column(column, overflow="fold")
    for camera in listed:
        here = "yes" if camera.available else "no"
        table.add_row(camera.camera, camera.source, camera.description, here, camera.needs)
    Console().print(table)
