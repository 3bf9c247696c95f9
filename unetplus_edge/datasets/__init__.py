"""Images of nuclei with their truth: the article's data set, its splits, its augmentation."""

from unetplus_edge.datasets.augmentation import Augmentation, augment
from unetplus_edge.datasets.dsb2018 import DSB2018, open_dsb2018, read_kaggle
from unetplus_edge.datasets.samples import Sample, content_hash
from unetplus_edge.datasets.splits import PatchId, article_validation_patches, validation_images

__all__ = [
    "DSB2018",
    "Augmentation",
    "PatchId",
    "Sample",
    "article_validation_patches",
    "augment",
    "content_hash",
    "open_dsb2018",
    "read_kaggle",
    "validation_images",
]
