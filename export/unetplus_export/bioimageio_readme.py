"""The README of a bioimage.io package: what goes in, what comes out, and how good it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import unetplus_edge
from unetplus_edge.imaging.scaling import NOISE_SPAN

if TYPE_CHECKING:
    from unetplus_edge.imaging import Postprocessing
    from unetplus_edge.manifest import Manifest

ARTICLE = "Long F. Microscopy cell nuclei segmentation with enhanced U-Net. BMC Bioinformatics 21, 8 (2020)"
ARTICLE_DOI = "10.1186/s12859-019-3332-1"
DATA = (
    "Caicedo J. C. et al. Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl. "
    "Nature Methods 16, 1247 (2019)"
)
DATA_DOI = "10.1038/s41592-019-0612-7"

_TITLES = {"unet": "U-Net", "unet_plus": "U-Net+", "unet_plus_plus": "U-Net++"}
_SCORES = {"average_iou_mean": "average IOU", "kaggle_score": "Kaggle score", "ap50_mean": "AP50", "dice": "pixel Dice"}


def title_of(manifest: Manifest) -> str:
    """Return what the network is called in the literature."""
    return _TITLES[manifest.recipe.architecture.kind]


def readme(manifest: Manifest, side: int) -> str:
    """Return the README, in Markdown.

    Parameters
    ----------
    manifest
        Of the model.
    side
        Of its patches, in pixels.
    """
    before, after = manifest.recipe.preprocessing, manifest.postprocessing
    scheme = before.tv_scheme.replace("_", "-")
    return f"""# {title_of(manifest)}: nuclei in fluorescence images

{manifest.name} gives the probability of nucleus for every pixel of a grey-scale fluorescence image: bright nuclei on a
dark ground. It is the network of Long (2020) as unetplus-edge builds and trains it.

## Input

Patches of {side} x {side} pixels, one channel, float32 in [0, 1], **preprocessed**. The three steps are no operations
of this format, so they are not in its description and have to be done before:

1. Scale the whole image (not the patch): low and high are the least and the greatest value of its 3 x 3 median. The
   standard deviation of its noise is the mean absolute difference of pixels that are neighbours along an edge, all
   clipped to low and high, times sqrt(pi) / 2. Where high is less than {NOISE_SPAN} times that above low, it is raised
   to that, or an image without nuclei would be stretched until its noise looks like some. Low becomes 0 and high
   255, everything is rounded to one of these 256 codes, and what lies beyond them is clipped. An image whose high
   equals low from the start becomes 0 everywhere, without any of what follows.
2. CLAHE of the codes with tiles of {before.clahe_tile} x {before.clahe_tile} pixels, 256 bins and a clip limit of
   {before.clahe_clip:g} times the mean bin. What comes out is divided by 255.
3. Total-variation denoising ({scheme}) with weight {before.tv_weight:g}, {before.tv_iterations} iterations.

`unetplus_edge.imaging.preprocess` does all of it. A raw image put in as it is gives wrong answers.
A larger image is cut into patches that cover it; where these overlap, the greater probability counts.

## Output

Probability of nucleus, float32 in [0, 1], same shape. Label images are made of it so: above {after.threshold:g} a
pixel is nucleus; holes of up to {after.max_hole_area} pixels are filled, objects below {after.min_nucleus_area} pixels
removed, and {_one_nucleus(after)}. `unetplus_edge.imaging.label_nuclei` does that.

## Training data

{_data(manifest)} The test tensors and the cover picture are of simulated frames.

## Validation

{_validation(manifest)}
To validate the model on images of your own, compare its label images with true ones, by average precision at an IOU of
0.5 or by `unetplus_edge.evaluation.score_image`. Brightness, magnification and density far from those of the training
data lower the scores.

## Limits

One channel, two dimensions. {_parted(after)}
Not made for brightfield or histology, nor for clinical use.

## Licence and citation

BSD-3-Clause. Please cite {ARTICLE}, doi {ARTICLE_DOI}; unetplus-edge {unetplus_edge.__version__}, which made this
package; and for the data {DATA}, doi {DATA_DOI}.
"""


def _one_nucleus(after: Postprocessing) -> str:
    if after.core_threshold is None:
        return f"what is connected ({after.connectivity} neighbours) is one nucleus"
    return (
        f"every connected part above {after.core_threshold:g} of at least {after.min_core_area} pixels\n"
        f"grows, all of them at once, by up to {after.core_reach} pixels into one nucleus{_joined(after)}"
    )


def _joined(after: Postprocessing) -> str:
    if after.join_border is None:
        return ""
    return (
        f";\ntwo with a border longer than {after.join_border:g} times the diameter of the smaller one are one,\n"
        "before any is removed"
    )


def _parted(after: Postprocessing) -> str:
    """Return which nuclei that touch are told apart."""
    valley = after.threshold if after.core_threshold is None else after.core_threshold
    text = f"Nuclei that touch are separated only where the probability between them falls to {valley:g} or below"
    if after.core_threshold is not None:
        text += f",\nand each has at least {after.min_core_area} connected pixels above that"
    if after.join_border is not None:
        text += (
            f";\nthose with a border longer than {after.join_border:g} times the diameter of the smaller one are not"
        )
    return f"{text}."


def _data(manifest: Manifest) -> str:
    source = (
        "The grey-scale fluorescence images of the first stage of the 2018 Data Science Bowl "
        "(Broad Bioimage Benchmark Collection, BBBC038, CC0)"
    )
    data = manifest.data_set
    if data is None:
        return f"{source}."
    return f"{source}: {data.training_images} images to learn from, {data.validation_images} held out for every choice."


def _validation(manifest: Manifest) -> str:
    """Return a table of the Keras model's scores, or that there are none."""
    scored = {record.images: record.scores for record in manifest.scores if record.engine == "keras"}
    if not scored:
        return "No scores were measured with this model.\n"
    rows = [
        f"| {title} | " + " | ".join(_number(scores.get(name)) for scores in scored.values()) + " |"
        for name, title in _SCORES.items()
    ]
    head = f"| score | {' | '.join(images.replace('_', ' ') for images in scored)} |"
    return "\n".join([head, "|---" * (1 + len(scored)) + "|", *rows]) + "\n"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
