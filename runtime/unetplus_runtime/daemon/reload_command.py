"""`unetplus-runtime reload-model`: another model for a daemon that runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from unetplus_edge.commands import Command, printable
from unetplus_runtime.daemon.asking import daemon_options, data_dir_of
from unetplus_runtime.daemon.control import ask

_TIMEOUT = 1800.0  # seconds: TensorRT may have to build


@click.command("reload-model", cls=Command, epilog="Example: unetplus-runtime reload-model models/new/")
@click.argument("bundle")
@daemon_options
@click.option("--json", "as_json", is_flag=True, help="Print what is known of both models as JSON.")
def reload_model(bundle: str, config: Path | None, data_dir: str | None, as_json: bool) -> None:
    """Let a running daemon count with another model, from one frame to the next.

    BUNDLE is a folder, or a name in the zoo. It is checked, opened and tried beside the model at
    work, which goes on if anything is wrong with the new one.
    """
    # The daemon works in a folder of its own.
    named = str(Path(bundle).absolute()) if Path(bundle).is_dir() else bundle
    question: dict[str, Any] = {"do": "reload-model", "bundle": named}
    answer = ask(data_dir_of(config, data_dir), question, _TIMEOUT)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    old, new = answer["old"], answer["new"]
    mark = "SIMULATED frames: " if answer["simulated"] else ""
    click.echo(
        f"{mark}{printable(new['name'])} ({new['engine']} {new['precision']}) counts from the next frame on, in the "
        f"place of {printable(old['name'])} ({old['engine']} {old['precision']}); in the built-in specimen it finds "
        f"{new['specimen_nuclei']} nuclei of {new['specimen_truth']}"
    )
