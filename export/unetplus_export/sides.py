"""A bundle's network for patches of another side than the one that it was trained with."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from unetplus_edge.bundle import create_bundle
from unetplus_edge.files import sha256_of
from unetplus_export.conversion import Request
from unetplus_export.saved_model import keras_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unetplus_edge.bundle import Bundle


@contextmanager
def for_side(bundle: Bundle, side: int) -> Iterator[Bundle]:
    """Give the bundle whose Keras model and frames conversions for patches of a side are compared with.

    For the recipe's own side that is the bundle itself; for another one a bundle with the same
    weights, which is removed when the block ends.

    Parameters
    ----------
    bundle
        The bundle.
    side
        In pixels.

    Raises
    ------
    ConversionError
        If the network cannot be built for that side.
    """
    manifest = bundle.manifest
    if side == manifest.recipe.patch_side:
        yield bundle
        return
    with TemporaryDirectory(prefix="unetplus-side-") as folder:
        file = Path(folder) / "model.keras"
        keras_model(Request(bundle, "fp32", side)).save(file)
        shape = (None, side, side, 1)
        changes = {
            "recipe": manifest.recipe.model_copy(update={"patch_side": side}),
            "input": manifest.input.model_copy(update={"shape": shape}),
            "output": manifest.output.model_copy(update={"shape": shape}),
            "keras_sha256": sha256_of(file),
            "conversions": (),
            "plans": (),
        }
        yield create_bundle(Path(folder) / "bundle", file, manifest.model_copy(update=changes))
