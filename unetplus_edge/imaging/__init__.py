"""From a raw frame to patches, and from a network's answers to measured nuclei."""

from unetplus_edge.imaging.constants import Preprocessing
from unetplus_edge.imaging.frames import as_frame
from unetplus_edge.imaging.measure import Nuclei, measure
from unetplus_edge.imaging.patches import PATCH_SIDE, PatchGrid, PatchSpan, patch_origins, patch_spans
from unetplus_edge.imaging.postprocess import Postprocessing, label_nuclei
from unetplus_edge.imaging.preprocess import Preprocessor, preprocess, preprocess_block
from unetplus_edge.imaging.scaling import FrameRange, frame_range

__all__ = [
    "PATCH_SIDE",
    "FrameRange",
    "Nuclei",
    "PatchGrid",
    "PatchSpan",
    "Postprocessing",
    "Preprocessing",
    "Preprocessor",
    "as_frame",
    "frame_range",
    "label_nuclei",
    "measure",
    "patch_origins",
    "patch_spans",
    "preprocess",
    "preprocess_block",
]
