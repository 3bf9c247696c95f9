"""The loss of Long 2020: binary cross entropy and the logarithm of the Dice coefficient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from unetplus_edge.training.patches import GAP

if TYPE_CHECKING:
    from keras import KerasTensor


@keras.saving.register_keras_serializable("unetplus_edge")
class CrossEntropyLogDice(keras.losses.Loss):  # type: ignore[misc]
    """weight * BCE + mean over patches of -log Dice (Long 2020, "Training").

    Dice is the soft one: (2 * sum(t * p) + s) / (sum(t) + sum(p) + s), sums over a patch.

    Parameters
    ----------
    bce_weight
        Weight of the binary cross entropy, which is a mean over pixels.
    smoothing
        s, which keeps the fraction defined in a patch without nuclei.
    gap_weight
        Weight in the BCE of the pixels that are `GAP` in the truth; all others have 1.
    """

    def __init__(
        self, bce_weight: float = 1.0, smoothing: float = 1.0, gap_weight: float = 1.0, **options: Any
    ) -> None:
        super().__init__(**{"name": "cross_entropy_log_dice", **options})
        self.bce_weight = bce_weight
        self.smoothing = smoothing
        self.gap_weight = gap_weight

    def call(self, y_true: KerasTensor, y_pred: KerasTensor) -> KerasTensor:
        """Return the loss of each patch, shape (n,), of a truth of 0, 1 and `GAP`, shape (n, height, width, 1)."""
        axes = (1, 2, 3)
        truth = ops.cast(ops.equal(y_true, 1), y_pred.dtype)
        entropy = ops.binary_crossentropy(truth, y_pred)
        if self.gap_weight != 1:
            entropy *= 1 + (self.gap_weight - 1) * ops.cast(ops.equal(y_true, GAP), y_pred.dtype)
        cross_entropy = ops.mean(entropy, axis=axes)
        shared = ops.sum(truth * y_pred, axis=axes)
        total = ops.sum(truth, axis=axes) + ops.sum(y_pred, axis=axes)
        dice = (2 * shared + self.smoothing) / (total + self.smoothing)
        return self.bce_weight * cross_entropy - ops.log(dice)

    def get_config(self) -> dict[str, Any]:
        """Return what makes this loss again."""
        return {
            **super().get_config(),
            "bce_weight": self.bce_weight,
            "smoothing": self.smoothing,
            "gap_weight": self.gap_weight,
        }
