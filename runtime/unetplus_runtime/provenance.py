"""What computed a result: the model, its constants and the engine, by name."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from unetplus_edge import __version__
from unetplus_runtime.engines.plan_cache import read_plan

if TYPE_CHECKING:
    from unetplus_runtime.segmenter import Segmenter


def provenance_of(segmenter: Segmenter) -> dict[str, str]:
    """Return everything that the results of a segmenter depend on, besides the frames.

    `model` is the SHA-256 of the Keras model, `conversion` that of the file that the engine runs
    ("none" for the Keras model itself), `recipe` that of the recipe as JSON.

    Raises
    ------
    EngineError
        If the engine's file is a plan that is missing or damaged by now.
    """
    manifest, engine = segmenter.bundle.manifest, segmenter.engine
    return {
        "version": __version__,
        "name": manifest.name,
        "model": manifest.keras_sha256,
        "recipe": hashlib.sha256(manifest.recipe.model_dump_json().encode()).hexdigest(),
        "preprocessing": manifest.recipe.preprocessing.model_dump_json(),
        "postprocessing": manifest.postprocessing.model_dump_json(),
        "engine": engine.engine,
        "library": f"{engine.library} {engine.library_version}",
        "conversion": _conversion(segmenter),
        "precision": engine.executed_precision,
        "device": engine.device,
        "grid": segmenter.grid,
    }


def _conversion(segmenter: Segmenter) -> str:
    bundle, engine = segmenter.bundle, segmenter.engine
    if engine.engine == "tensorrt":
        # Plans lie outside the bundle, and the cache may have another one than the manifest tells of.
        return read_plan(engine.file).sha256
    files = {bundle.file_of(conversion): conversion.sha256 for conversion in bundle.manifest.conversions}
    return files.get(engine.file, "none")
