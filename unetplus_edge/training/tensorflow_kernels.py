"""Faster TensorFlow kernels for what takes most of a step on a CPU beside the convolutions.

Keras composes batch norm of eight operations, each of which passes over the whole tensor, and draws
32 random bits for every value of a dropout.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any, Final

import keras

if TYPE_CHECKING:
    import tensorflow

_BFLOAT16_CHANNELS: Final = 16
"""oneDNN has fast kernels of batch norm in bfloat16 for multiples of it, and a slow one for the rest."""


def use_fast_kernels(model: keras.Model) -> None:
    """Have a model's batch norms and dropouts computed by other kernels of TensorFlow; elsewhere do nothing.

    The formulas stay, and so do the layers: a saved model knows nothing of it.

    Parameters
    ----------
    model
        A network of `unetplus_edge.networks`, channels last.
    """
    if keras.backend.backend() != "tensorflow":
        return
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.call = MethodType(_batch_norm, layer)
        elif isinstance(layer, keras.layers.Dropout) and layer.rate == 0.5:
            layer.call = MethodType(_dropout_of_half, layer)


def _batch_norm(
    layer: keras.layers.BatchNormalization, inputs: tensorflow.Tensor, *, training: bool | None = None, mask: Any = None
) -> tensorflow.Tensor:
    import tensorflow as tf

    del mask
    learns = bool(training) and layer.trainable
    slow = inputs.dtype == tf.bfloat16 and inputs.shape[-1] % _BFLOAT16_CHANNELS
    normed, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=tf.cast(inputs, tf.float32) if slow else inputs,
        scale=layer.gamma,
        offset=layer.beta,
        mean=[] if learns else layer.moving_mean,
        variance=[] if learns else layer.moving_variance,
        epsilon=layer.epsilon,
        is_training=learns,
    )
    if learns:
        # The kernel gives the variance of a sample, n / (n - 1) times the one that Keras keeps.
        n = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        for kept, new in ((layer.moving_mean, mean), (layer.moving_variance, variance * ((n - 1) / n))):
            kept.assign(kept * layer.momentum + new * (1 - layer.momentum))
    return tf.cast(normed, layer.compute_dtype)


def _dropout_of_half(
    layer: keras.layers.Dropout, inputs: tensorflow.Tensor, *, training: bool = False
) -> tensorflow.Tensor:
    import tensorflow as tf

    if not training:
        return inputs
    seed = tf.cast(layer.seed_generator.next(), tf.int64)
    size = tf.size(inputs)
    # A word is four values: half of all bytes are 128 and above.
    words = tf.random.stateless_uniform([(size + 3) // 4], seed, minval=None, maxval=None, dtype=tf.uint32)
    kept = tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:size] >= 128
    return inputs * (2 * tf.cast(tf.reshape(kept, tf.shape(inputs)), inputs.dtype))
