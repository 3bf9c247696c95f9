"""What other people use, timed in the same run: what is compared is in each row's name.

StarDist's network has random weights here: that is enough for its time, and says nothing of its
accuracy, so it is timed as a network alone. The classical way needs no weights and is timed from a
frame to measured nuclei.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from unetplus_bench.measuring.plan import Planned
from unetplus_bench.measuring.subjects import scores_of
from unetplus_bench.measuring.worker import Timed
from unetplus_bench.results import NetworkRecord, Row
from unetplus_edge.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_bench.measuring.material import Material
    from unetplus_bench.measuring.plan import Wanted
    from unetplus_edge.bundle import Bundle

STARDIST: Final = "StarDist 2D_versatile_fluo, network alone, random weights"
OTSU: Final = "scikit-image, Otsu and watershed"

_FILTERS, _DEPTH, _RAYS, _FEATURES = 32, 3, 32, 128
_SMOOTHING, _DISTANCE, _SMALLEST = 1.0, 5, 20


def rival_rows(bundles: Sequence[Bundle], wanted: Wanted, material: Material) -> list[Planned]:
    """Return the rows of the rivals in the scopes that are asked for.

    Parameters
    ----------
    bundles
        Of the same measurement: rivals are shown the patches of the first.
    wanted, material
        As for `unetplus_bench.measuring.plan.planned_rows`.
    """
    rows = []
    recipe = bundles[0].manifest.recipe
    if "net" in wanted.scopes:
        network = NetworkRecord(name=STARDIST, side=recipe.patch_side)
        for batch in wanted.batches:
            for threads in wanted.threads:
                row = Row(
                    name=STARDIST + (f", batch {batch}" if batch != 1 else "") + _threads(threads),
                    scope="net",
                    network=network,
                    engine="keras",
                    batch=batch,
                    threads=threads,
                )
                patches = (
                    material.test_patches(recipe) if wanted.test_patches else material.simulated_patches(recipe, batch)
                )
                rows.append(Planned(row, StarDistSubject(batch, threads, patches)))
    if "frame" in wanted.scopes:
        for shape in wanted.frames:
            row = Row(
                name=f"{OTSU}, frame {shape[0]}x{shape[1]}",
                scope="frame",
                engine="scikit-image",
                frame_shape=shape,
                threads=1,
            )
            rows.append(Planned(row, OtsuSubject(material.frame(shape))))
    return rows


def stardist_network(side: int) -> Any:
    """Return StarDist's 2D network as "2D_versatile_fluo" configures it, with random weights, as a Keras model.

    Schmidt 2018; the published configuration: one channel, grid (2, 2), 32 rays, U-Net of depth 3
    with 32 filters, 3x3 kernels, two convolutions a level and max-pooling, 128 features after it.

    Parameters
    ----------
    side
        Of a patch in pixels, a multiple of 16.
    """
    from keras import Input, Model, layers

    def convolution(x: Any, filters: int) -> Any:
        return layers.Conv2D(filters, 3, padding="same", activation="relu")(x)

    image = Input((side, side, 1))
    x = convolution(convolution(image, _FILTERS), _FILTERS)
    x = layers.MaxPooling2D(2)(x)
    skips = []
    for level in range(_DEPTH):
        x = convolution(convolution(x, _FILTERS * 2**level), _FILTERS * 2**level)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = convolution(convolution(x, _FILTERS * 2**_DEPTH), _FILTERS * 2 ** (_DEPTH - 1))
    for level in reversed(range(_DEPTH)):
        x = layers.Concatenate()([layers.UpSampling2D(2)(x), skips.pop()])
        x = convolution(convolution(x, _FILTERS * 2**level), _FILTERS * 2 ** max(0, level - 1))
    x = convolution(x, _FEATURES)
    probability = layers.Conv2D(1, 1, activation="sigmoid", name="prob")(x)
    distances = layers.Conv2D(_RAYS, 1, name="dist")(x)
    return Model(image, [probability, distances])


@dataclass(frozen=True)
class StarDistSubject:
    """StarDist's network in Keras, on patches.

    Parameters
    ----------
    batch
        Patches a call.
    threads
        Of TensorFlow; None leaves its own number.
    patches
        A `.npy` file of patches, float32, shape (n, side, side, 1), n a multiple of `batch`.
    """

    batch: int
    threads: int | None
    patches: Path

    @contextmanager
    def open(self) -> Iterator[Timed]:
        """See `unetplus_bench.measuring.worker.Subject`."""
        patches = np.load(self.patches)
        begin = time.perf_counter()
        _require("keras", "unetplus-edge[train]")
        _require("tensorflow", "unetplus-edge[train]")
        import keras
        import tensorflow

        from unetplus_edge.networks import multiply_accumulates
        from unetplus_runtime.engines.base import thread_count

        threads = thread_count(self.threads)
        if self.threads is not None:
            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        with keras.device("cpu"):
            model = stardist_network(patches.shape[1])
            # As the keras engine has it, for the same reason.
            model.jit_compile = False
            batches = cycle(patches.reshape(-1, self.batch, *patches.shape[1:]))
            network = NetworkRecord(
                name=STARDIST,
                weights=model.count_params(),
                macs=multiply_accumulates(model),
                side=patches.shape[1],
            )
            facts = {
                "library": f"keras on tensorflow {keras.__version__}",
                "stored_precision": "fp32",
                "executed_precision": "fp32",
                "threads": threads,
                "network": network.model_dump(),
                "load_seconds": time.perf_counter() - begin,
            }

            def call() -> None:
                model.predict_on_batch(next(batches))

            yield Timed(call, facts)


class _Labelled(NamedTuple):
    labels: NDArray[np.int32]


@dataclass(frozen=True)
class OtsuSubject:
    """Otsu's threshold, a watershed between touching nuclei, and their measurements, in scikit-image.

    Parameters
    ----------
    frame
        A `.npy` file of a raw frame, shape (height, width).
    """

    frame: Path

    @contextmanager
    def open(self) -> Iterator[Timed]:
        """See `unetplus_bench.measuring.worker.Subject`."""
        frame = np.load(self.frame)
        begin = time.perf_counter()
        _require("skimage", "unetplus-edge[bench]")
        from skimage.measure import regionprops_table

        def call() -> dict[str, float]:
            started = time.perf_counter()
            labels = otsu_watershed(frame)
            labelled = time.perf_counter()
            regionprops_table(labels, frame, properties=("label", "area", "centroid", "intensity_mean", "eccentricity"))
            return {"postprocess": labelled - started, "measure": time.perf_counter() - labelled}

        facts = {"library": f"scikit-image {version('scikit-image')}", "load_seconds": time.perf_counter() - begin}
        yield Timed(call, facts, lambda images: scores_of(_segmented, images))


def _segmented(frame: NDArray[np.generic]) -> Any:
    return _Labelled(otsu_watershed(frame))


def otsu_watershed(frame: NDArray[np.generic]) -> NDArray[np.int32]:
    """Return a label image as scikit-image's own example of touching objects makes it.

    Gaussian blur (sigma 1), Otsu's threshold, objects below 20 pixels removed, distance transform,
    its peaks at least 5 pixels apart as markers, watershed.

    Parameters
    ----------
    frame
        Any dtype, shape (height, width).

    Returns
    -------
    numpy.ndarray
        int32, same shape: 0 = background, nuclei numbered from 1.
    """
    from scipy import ndimage
    from skimage.feature import peak_local_max
    from skimage.filters import gaussian, threshold_otsu
    from skimage.measure import label
    from skimage.segmentation import watershed

    smooth = gaussian(frame.astype(np.float32), _SMOOTHING)
    if smooth.min() == smooth.max():
        # Of one grey level Otsu makes no two.
        return np.zeros(frame.shape, np.int32)
    objects = label(smooth > threshold_otsu(smooth))
    sizes = np.bincount(objects.ravel())
    mask = (sizes >= _SMALLEST)[objects] & (objects > 0)
    distance = ndimage.distance_transform_edt(mask)
    peaks = peak_local_max(distance, min_distance=_DISTANCE, labels=objects * mask)
    markers = np.zeros(frame.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels: NDArray[np.int32] = watershed(-distance, markers, mask=mask).astype(np.int32)
    return labels


def _require(module: str, extra: str) -> None:
    if find_spec(module) is None:
        raise EngineError(f"{module} is not installed; run: pip install '{extra}'")


def _threads(threads: int | None) -> str:
    return "" if threads is None else f", {threads} thread{'s' if threads != 1 else ''}"
