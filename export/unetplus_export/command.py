"""`unetplus-export`: from a bundle's Keras model to verified conversions in the same bundle."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from unetplus_edge.bundle import add_conversion, open_bundle
from unetplus_edge.commands import Command
from unetplus_edge.errors import ConversionError, OutputError
from unetplus_edge.files import sha256_of
from unetplus_edge.manifest import ConversionRecord
from unetplus_edge.zoo import DEFAULT, find_bundle
from unetplus_export.tflite import convert_tflite
from unetplus_export.verify import simulated_patches, training_patches, verify
from unetplus_runtime.engines import open_engine
from unetplus_runtime.progress import progress_bar

if TYPE_CHECKING:
    from unetplus_edge.bundle import Bundle

LIMIT_FAILED = 5
"""Exit code where a conversion does not keep its limit."""


@click.command(cls=Command, epilog="Example: unetplus-export run/bundle --target tflite")
@click.argument("bundle", default=DEFAULT)
@click.option("--target", type=click.Choice(["tflite"]), default="tflite", show_default=True, help="Format to write.")
@click.option("--precision", type=click.Choice(["fp32"]), default="fp32", show_default=True, help="Of the weights.")
@click.option("--json", "as_json", is_flag=True, help="Print what the manifest says of the conversion.")
@click.option("--quiet", is_flag=True, help="Print warnings and errors only.")
@click.pass_context
def main(context: click.Context, bundle: str, target: str, precision: str, as_json: bool, quiet: bool) -> None:
    """Convert the Keras model of BUNDLE and add the file to it, if it still segments.

    BUNDLE is a folder, or a name in the zoo, which is copied into the working folder first. The
    conversion is compared with the Keras model on training images, or on simulated frames where
    UNETPLUS_DATA is not set.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Whatever a model was trained with, TensorFlow is what converts it.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    opened = _own(bundle)
    with tempfile.TemporaryDirectory() as folder, progress_bar(f"{target} {precision}", 2, quiet=quiet) as done:
        file = Path(folder) / "model.tflite"
        try:
            tools = convert_tflite(opened, file)
        except ImportError as error:
            raise ConversionError(
                f"{error.name} is needed to convert to {target}; run: pip install 'unetplus-edge[export]'"
            ) from error
        done()
        record = _verified(opened, file, tools)
        done()
        if record.verifications[0].verified:
            add_conversion(opened, file, record)
    if as_json:
        click.echo(record.model_dump_json(indent=2))
    elif not quiet:
        Console().print(_table(opened, record))
    if not record.verifications[0].verified:
        click.echo(f"error: {target} {precision}: {record.verifications[0].reason}; it was not added", err=True)
        context.exit(LIMIT_FAILED)


def _own(name: str) -> Bundle:
    if Path(name).is_dir():
        return open_bundle(Path(name))
    found = find_bundle(name)
    copy = Path(found.path.name)
    unfinished = Path(f".unfinished-{copy}")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(found.path, unfinished)
        unfinished.rename(copy)
    except OSError as error:
        raise OutputError(f"{copy} cannot be written here; change to another folder") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return open_bundle(copy)


def _verified(bundle: Bundle, file: Path, tools: dict[str, str]) -> ConversionRecord:
    if os.environ.get("UNETPLUS_DATA"):
        patches = training_patches(bundle.manifest)
    else:
        click.echo("warning: UNETPLUS_DATA is not set; the conversion is compared on simulated frames", err=True)
        patches = simulated_patches(bundle.manifest)
    with open_engine(bundle, "keras") as reference, open_engine(file, "litert") as engine:
        verification = verify(reference, engine, patches, bundle.manifest.postprocessing.threshold)
        stored = engine.info.stored_precision
    return ConversionRecord(
        file=f"exports/model_{stored}.tflite",
        sha256=sha256_of(file),
        target="tflite",
        stored_precision=stored,
        verifications=(verification,),
        tools=tools,
    )


def _table(bundle: Bundle, record: ConversionRecord) -> Table:
    table = Table(title=f"{bundle.manifest.name}: {record.file}")
    for column in ("engine", "executed", "patches", "max. difference", "flipped / million", "verified"):
        table.add_column(column)
    for found in record.verifications:
        parity = found.parity
        numbers = ("-", "-", "-")
        if parity:
            numbers = (str(parity.patches), f"{parity.max_difference:.1e}", f"{parity.flipped_per_million:.1f}")
        table.add_row(found.engine, found.executed_precision, *numbers, "yes" if found.verified else "no")
    return table
