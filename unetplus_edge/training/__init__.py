"""Training: the recipe, the loss, the loop. `fit` and `losses` import Keras; the rest does not."""
