"""How good a segmentation is, in numbers and in pictures."""

from unetplus_edge.evaluation.causes import ErrorCauses, error_causes
from unetplus_edge.evaluation.matching import Overlaps, iou_matrix, overlaps
from unetplus_edge.evaluation.overlays import error_overlay, outline_overlay
from unetplus_edge.evaluation.scores import ImageScores, SetScores, score_image, score_set
from unetplus_edge.evaluation.sheet import tiled

__all__ = [
    "ErrorCauses",
    "ImageScores",
    "Overlaps",
    "SetScores",
    "error_causes",
    "error_overlay",
    "iou_matrix",
    "outline_overlay",
    "overlaps",
    "score_image",
    "score_set",
    "tiled",
]
