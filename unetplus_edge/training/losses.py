"""The loss of Long 2020: binary cross entropy and the logarithm of the Dice coefficient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

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
    """

    def __init__(self, bce_weight: float = 1.0, smoothing: float = 1.0, **options: Any) -> None:
        super().__init__(**{"name": "cross_entropy_log_dice", **options})
        self.bce_weight = bce_weight
        self.smoothing = smoothing

    def call(self, y_true: KerasTensor, y_pred: KerasTensor) -> KerasTensor:
        """Return the loss of each patch; shapes (n, height, width, 1) and (n,)."""
        axes = (1, 2, 3)
        truth = ops.cast(y_true, y_pred.dtype)
        cross_entropy = ops.mean(ops.binary_crossentropy(truth, y_pred), axis=axes)
        shared = ops.sum(truth * y_pred, axis=axes)
        total = ops.sum(truth, axis=axes) + ops.sum(y_pred, axis=axes)
        dice = (2 * shared + self.smoothing) / (total + self.smoothing)
        return self.bce_weight * cross_entropy - ops.log(dice)

    def get_config(self) -> dict[str, Any]:
        """Return what makes this loss again."""
        return {**super().get_config(), "bce_weight": self.bce_weight, "smoothing": self.smoothing}
