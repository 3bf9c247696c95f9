"""`unetplus-runtime serve`: the daemon."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import click
import cv2

from unetplus_edge.commands import Command
from unetplus_runtime.configuration import load
from unetplus_runtime.configuration.options import options_of, settings_options
from unetplus_runtime.daemon.daemon import Daemon
from unetplus_runtime.daemon.limits import Limits
from unetplus_runtime.daemon.signals import Signals

if TYPE_CHECKING:
    from pathlib import Path


@click.command(cls=Command, epilog="Example: unetplus-runtime serve --camera folder:images/ --data-dir results/")
@settings_options
@click.option("--frames", type=click.IntRange(min=1), help="End after so many frames.")
@click.option(
    "--until-idle",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End when none came for so long.",
)
def serve(config: Path | None, frames: int | None, until_idle: float | None, **typed: Any) -> None:
    """Count nuclei in the frames of a camera, and record them so that they survive.

    With no camera named anywhere, frames are simulated. SIGTERM ends it when what is at hand is
    recorded, a second one at once; SIGHUP reads the configuration file again.
    """
    options = options_of(**typed)
    loaded = load(config, options, os.environ)
    # Files that tifffile grumbles about are read or refused; either way there is nothing to add.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    daemon = Daemon(
        loaded,
        file=config,
        load=lambda: load(config, options, os.environ),
        limits=Limits(frames, until_idle),
    )
    with Signals(daemon.stop, daemon.reload):
        daemon.run()
