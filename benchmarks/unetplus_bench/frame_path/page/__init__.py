"""The blocks of docs/fast-path.md, made of the result files of preprocessing, path, grids and lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unetplus_bench.frame_path.page import committed, engine, memory, path, preprocessing, targets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

RENDERERS: Final[Mapping[str, Callable[[Path], str]]] = {
    "fast-path-targets": targets.table,
    "fast-path-preprocessing": preprocessing.times,
    "fast-path-scikit-image": preprocessing.beside_scikit_image,
    "fast-path-distances": preprocessing.distances,
    "fast-path-scores": preprocessing.scores,
    "fast-path-stages": path.stages,
    "fast-path-nuclei": path.nuclei,
    "fast-path-sizes": path.sizes,
    "fast-path-lanes": engine.lanes,
    "fast-path-grids": engine.grids,
    "fast-path-blocks": memory.blocks,
    "fast-path-memory": memory.steady,
    "fast-path-commands": committed.commands,
}
"""Makers of the blocks, by name; each takes `benchmarks/results`, and needs the files that it shows."""
