"""`unetplus-runtime config`: what can be set, and whether a file is right."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from unetplus_edge.commands import Group, printable
from unetplus_edge.errors import ConfigurationError
from unetplus_runtime.configuration.options import options_of, settings_options
from unetplus_runtime.configuration.show import as_rows, as_toml
from unetplus_runtime.configuration.sources import load


@click.group(cls=Group)
def config() -> None:
    """Show and check the settings of `serve`."""


@config.command(epilog="Example: unetplus-runtime config show --camera folder:images/ > unetplus.toml")
@settings_options
@click.option("--json", "as_json", is_flag=True, help="Print the fields as JSON.")
def show(config: Path | None, as_json: bool, **typed: Any) -> None:
    """Print every setting: value, kind, default, meaning, and where it is set.

    What is printed is a configuration file. URLs are printed without user, password and query.
    """
    loaded = load(config, options_of(**typed), os.environ)
    if as_json:
        click.echo(json.dumps(as_rows(loaded), indent=2))
    else:
        click.echo(as_toml(loaded), nl=False)


@config.command(epilog="Example: unetplus-runtime config check unetplus.toml")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def check(ctx: click.Context, file: Path) -> None:
    """Say what is wrong in a configuration file, line by line; the environment is left out."""
    try:
        load(file, {}, {})
    except ConfigurationError as error:
        for problem in error.problems:
            click.echo(printable(problem), err=True)
        ctx.exit(error.exit_code)
    click.echo(f"{printable(str(file))} is right")
