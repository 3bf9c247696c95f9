"""The way to segment a frame that libraries offer: scikit-image before and behind `keras.Model.predict`."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_bench.measuring.worker import Timed
from unetplus_edge.bundle import open_bundle
from unetplus_edge.imaging import PatchGrid, as_frame, frame_range
from unetplus_edge.imaging.clahe import equalise
from unetplus_edge.imaging.scaling import codes_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.manifest import Manifest


class Straightforward:
    """A bundle's Keras model between scikit-image's functions, with the constants of the bundle.

    Range, codes and patches are the project's own, which cost next to nothing. CLAHE is OpenCV's, the
    definition that the model was trained with (scikit-image clips histograms otherwise, and the model
    then finds other nuclei). Denoising, with as many iterations as the recipe's, holes, small nuclei,
    labels and measurements are scikit-image's.

    Parameters
    ----------
    bundle
        Folder of the bundle.
    """

    def __init__(self, bundle: Path) -> None:
        import keras

        opened = open_bundle(bundle)
        self._manifest: Manifest = opened.manifest
        self._model = keras.saving.load_model(opened.keras_path, compile=False)

    def segment(self, frame: NDArray[Any]) -> tuple[NDArray[np.int32], dict[str, NDArray[Any]]]:
        """Return the label image of a frame and the table of its nuclei."""
        from skimage.measure import label, regionprops_table
        from skimage.morphology import remove_small_holes, remove_small_objects

        constants = self._manifest.postprocessing
        grid = PatchGrid(frame.shape[0], frame.shape[1], self._manifest.recipe.patch_side)
        probability = grid.stitch(self._model.predict(grid.cut(self.preprocess(frame)), batch_size=8, verbose=0))
        connectivity = constants.connectivity // 4
        nucleus = probability > constants.threshold
        if constants.max_hole_area:
            nucleus = remove_small_holes(nucleus, max_size=constants.max_hole_area, connectivity=3 - connectivity)
        if constants.min_nucleus_area:
            nucleus = remove_small_objects(nucleus, max_size=constants.min_nucleus_area - 1, connectivity=connectivity)
        labels = label(nucleus, connectivity=connectivity).astype(np.int32)
        names = ("label", "area", "centroid", "bbox", "equivalent_diameter_area", "eccentricity")
        intensities = ("intensity_mean", "intensity_min", "intensity_max")
        return labels, regionprops_table(labels, frame, properties=(*names, *intensities))

    def preprocess(self, frame: NDArray[Any]) -> NDArray[np.float32]:
        """Return a frame as the network reads it."""
        from skimage.restoration import denoise_tv_chambolle

        constants = self._manifest.recipe.preprocessing
        low, high = frame_range(frame)
        if not high > low:
            return np.zeros(frame.shape, np.float32)
        codes = codes_of(as_frame(frame), low, high)
        denoised = equalise(codes, constants.clahe_tile, constants.clahe_clip) / 255
        if constants.halo:
            # Its first iteration changes nothing; without a tolerance it makes as many as it is told.
            told = {"eps": 0, "max_num_iter": constants.tv_iterations + 1}
            denoised = denoise_tv_chambolle(
                denoised, constants.tv_weight, **(told if constants.tv_scheme == "chambolle" else {})
            )
        limited: NDArray[np.float32] = np.clip(denoised, 0, 1).astype(np.float32)
        return limited


@dataclass(frozen=True)
class StraightforwardSubject:
    """`Straightforward.segment` on a frame.

    Parameters
    ----------
    bundle
        Folder of the bundle.
    frame
        A `.npy` file of a raw frame.
    """

    bundle: Path
    frame: Path

    @contextmanager
    def open(self) -> Iterator[Timed]:
        """See `unetplus_bench.measuring.worker.Subject`."""
        way, frame = Straightforward(self.bundle), np.load(self.frame)

        def call() -> None:
            way.segment(frame)

        yield Timed(call, {})
