"""The recipe of a training: every constant of it in one place."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from unetplus_edge.architectures import Architecture
from unetplus_edge.datasets.augmentation import Augmentation
from unetplus_edge.datasets.dsb2018 import Labels
from unetplus_edge.imaging import PATCH_SIDE, Postprocessing, Preprocessing

Precision = Literal["float32", "mixed_bfloat16"]

Split = Literal["validation_images", "patches", "all_patches"]


class Origin(BaseModel):
    """The model that a training began with.

    Attributes
    ----------
    name
        Of its bundle.
    keras_sha256
        SHA-256 of its Keras model, in hexadecimal.
    postprocessing
        How its nuclei are found, and those of the model that is made of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    keras_sha256: str
    postprocessing: Postprocessing


class Recipe(BaseModel):
    """How a network is trained. The defaults are the article's, where it states them.

    Attributes
    ----------
    architecture
        The network.
    preprocessing, augmentation
        What happens to an image before it is cut into patches.
    labels
        The released labels of the training images, or those corrected by hand.
    split
        What the loss is validated on. "validation_images": the held-out images, and the training
        has all patches of the others; "patches": the article's 8:2 split by patch, inside the
        training images; "all_patches": the same over all 546 images, as in the article.
    gap
        Pixels that touching nuclei lose on either side in the mask that is learnt; 0 is the
        article's plain union of the nuclei.
    gap_weight
        Weight of these pixels in the cross entropy, where all others have 1, as Ronneberger 2015
        ("Training") weighs the borders between cells.
    random_patches
        Patches drawn at random from every image in every epoch, beside those of the grid.
    min_foreground_ratio
        A random patch is kept where nucleus pixels / background pixels is above this.
    patches_per_epoch
        An epoch learns from so many of its patches, drawn anew without replacement; None, as in
        the article, from all.
    empty_patches
        Simulated fields without nuclei that an epoch learns from, as a part of its other patches.
    patch_side
        Side of a patch in pixels: a multiple of what the network halves, and 256 for a split by patch.
    batch_size
        Patches in a step of the optimiser.
    epochs, learning_rate
        First part of the training, with Adam.
    extra_epochs, extra_learning_rate
        Second part; the article's U-Net++ has 5 epochs at 1e-4 or 3e-4.
    bce_weight, dice_smoothing
        Loss = bce_weight * binary cross entropy + mean over patches of -log Dice, with the
        smoothing added to both halves of the Dice fraction; the network's L2 penalty comes on top.
    precision
        What the network computes in while it is trained. "mixed_bfloat16": most layers in bfloat16,
        weights and loss in float32; faster where the processor has AMX, or on a GPU. The model that
        comes of it computes in float32 either way.
    seed
        Seed of all chance: weights, order, augmentation, dropout.
    fine_tuned_from
        The model whose weights the training begins with; None begins with random ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    architecture: Architecture
    preprocessing: Preprocessing = Preprocessing()
    augmentation: Augmentation = Augmentation()
    labels: Labels = "fixed"
    split: Split = "validation_images"
    gap: Annotated[int, Field(ge=0, le=8)] = 0
    gap_weight: Annotated[float, Field(gt=0)] = 1.0
    random_patches: Annotated[int, Field(ge=0)] = 1
    min_foreground_ratio: Annotated[float, Field(ge=0)] = 0.4
    patches_per_epoch: Annotated[int | None, Field(ge=1)] = None
    empty_patches: Annotated[float, Field(ge=0, le=1)] = 0.0
    patch_side: Annotated[int, Field(ge=16)] = PATCH_SIDE
    batch_size: Annotated[int, Field(ge=1)] = 8
    epochs: Annotated[int, Field(ge=1)] = 20
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    extra_epochs: Annotated[int, Field(ge=0)] = 0
    extra_learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    bce_weight: Annotated[float, Field(ge=0)] = 1.0
    dice_smoothing: Annotated[float, Field(gt=0)] = 1.0
    precision: Precision = "float32"
    seed: Annotated[int, Field(ge=0)] = 0
    fine_tuned_from: Origin | None = None

    @model_validator(mode="after")
    def _sides_fit(self) -> Recipe:
        if self.patch_side % self.architecture.side_multiple:
            raise ValueError(
                f"patch_side must be a multiple of {self.architecture.side_multiple} "
                f"for a network of depth {self.architecture.depth}"
            )
        if self.split != "validation_images" and self.patch_side != PATCH_SIDE:
            raise ValueError(f"patch_side must be {PATCH_SIDE} for split {self.split}, whose patches are listed")
        return self

    @property
    def total_epochs(self) -> int:
        """Epochs of both parts."""
        return self.epochs + self.extra_epochs

    def learning_rate_of(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 1."""
        return self.learning_rate if epoch <= self.epochs else self.extra_learning_rate
