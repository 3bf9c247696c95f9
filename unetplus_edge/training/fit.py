"""The training loop: epochs that can be interrupted and resumed without a trace."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from zipfile import BadZipFile

import keras
import numpy as np

from unetplus_edge.errors import TrainingError
from unetplus_edge.networks import build_network
from unetplus_edge.training.losses import CrossEntropyLogDice
from unetplus_edge.training.patches import Patches, PatchMaker
from unetplus_edge.training.run_folder import EpochRecord, RunFolder
from unetplus_edge.training.tensorflow_kernels import use_fast_kernels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.training.patches import TrainingData
    from unetplus_edge.training.recipe import Recipe


class Progress(Protocol):
    """What is told about a training while it runs."""

    def step(self, epoch: int, done: int, total: int, loss: float) -> None:
        """Tell that `done` of an epoch's `total` steps are done, and the mean loss so far.

        What is raised here ends the training; epochs that are finished stay.
        """

    def epoch(self, record: EpochRecord) -> None:
        """Tell that an epoch is finished and on disk."""


def fit(recipe: Recipe, data: TrainingData, run: RunFolder, progress: Progress | None = None) -> None:
    """Train to the end of the recipe, from wherever the folder's log ends.

    Chance depends on the seed and on the epoch alone, so a run that was killed and resumed ends
    with the weights of one that was not (on the same machine, backend and versions).

    Parameters
    ----------
    recipe
        The recipe that the folder was started with.
    data
        The samples.
    run
        The folder; `best.keras` in it is the result.
    progress
        Told after every step and every epoch.

    Raises
    ------
    TrainingError
        If the loss is no longer a number, memory or disk runs out, or the folder is damaged. The
        last checkpoint stays.
    """
    _make_deterministic(recipe.seed)
    finished = len(run.records())
    model = _read_model(run.checkpoint(finished)) if finished else _new_model(recipe, run)
    use_fast_kernels(model)
    epochs = range(finished + 1, recipe.total_epochs + 1)
    with _memory_watched(recipe.batch_size), ThreadPoolExecutor(1) as ahead:
        maker = PatchMaker(data, recipe)
        validation = maker.validation_patches()
        upcoming = ahead.submit(maker.training_patches, finished + 1) if epochs else None
        for epoch in epochs:
            assert upcoming is not None  # noqa: S101
            patches = upcoming.result()
            if epoch < recipe.total_epochs:
                upcoming = ahead.submit(maker.training_patches, epoch + 1)
            run.finish_epoch(model, _train_epoch(model, recipe, epoch, patches, validation, progress))
            if progress:
                progress.epoch(run.records()[-1])


def _make_deterministic(seed: int) -> None:
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


def _read_model(checkpoint: Path) -> keras.Model:
    try:
        return keras.models.load_model(checkpoint)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise TrainingError(f"{checkpoint} is missing or damaged; start a new training") from error


def _new_model(recipe: Recipe, run: RunFolder) -> keras.Model:
    model = build_network(recipe.architecture, (recipe.patch_side, recipe.patch_side), recipe.precision)
    if recipe.fine_tuned_from is not None:
        model.set_weights(_read_model(run.first).get_weights())
    model.compile(
        optimizer=keras.optimizers.Adam(recipe.learning_rate),
        loss=CrossEntropyLogDice(recipe.bce_weight, recipe.dice_smoothing, recipe.gap_weight),
        # TensorFlow's own kernels are faster on a CPU than what XLA makes of the same graph.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    # Left to the first step, it is done inside the graph, which takes TensorFlow seconds longer.
    model.optimizer.build(model.trainable_variables)
    return model


def _train_epoch(
    model: keras.Model,
    recipe: Recipe,
    epoch: int,
    patches: Patches,
    validation: Patches,
    progress: Progress | None,
) -> EpochRecord:
    begin = time.monotonic()
    model.optimizer.learning_rate = recipe.learning_rate_of(epoch)
    watch = _Watch(epoch, -(-len(patches) // recipe.batch_size), progress)
    batches = _Batches(patches, recipe.batch_size)
    history = model.fit(
        batches,
        validation_data=_Batches(validation, recipe.batch_size),
        callbacks=[_Chance(recipe.seed, epoch), watch],
        shuffle=False,
        verbose=0,
    ).history
    batches.forget()
    loss, validation_loss = history["loss"][0], history["val_loss"][0]
    if not np.isfinite(validation_loss):
        raise _not_a_number(epoch)
    return EpochRecord(
        epoch=epoch,
        learning_rate=recipe.learning_rate_of(epoch),
        patches=len(patches),
        loss=round(float(loss), 6),
        validation_loss=round(float(validation_loss), 6),
        seconds=round(time.monotonic() - begin, 1),
    )


@contextmanager
def _memory_watched(batch_size: int) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # TensorFlow, JAX, PyTorch and OpenCV each have an error class of their own for it.
        text = f"{type(error).__name__}: {error}"
        exhausted = re.search("ResourceExhausted|RESOURCE_EXHAUSTED|OutOfMemory|Insufficient memory", text)
        if not (exhausted or isinstance(error, MemoryError)):
            raise
        raise TrainingError(
            f"memory ran out with batches of {batch_size}; free some and go on with --resume, "
            "or start again with a smaller --batch-size"
        ) from error


def _not_a_number(epoch: int) -> TrainingError:
    return TrainingError(
        f"the loss is no longer a number in epoch {epoch}; start again with a lower --learning-rate "
        f"(epochs up to {epoch - 1} are kept)"
    )


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of patches, in the order given."""

    def __init__(self, patches: Patches, size: int) -> None:
        super().__init__()
        self._patches = patches
        self._size = size

    def __len__(self) -> int:
        return -(-len(self._patches) // self._size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        part = slice(index * self._size, (index + 1) * self._size)
        return self._patches.images[part], self._patches.masks[part]

    def forget(self) -> None:
        """Let go of the patches: TensorFlow keeps every data set that it was ever given."""
        del self._patches


class _Chance(keras.callbacks.Callback):  # type: ignore[misc]
    """Seeds dropout once the model is built: that draws numbers too, and only in the first epoch of a process."""

    def __init__(self, seed: int, epoch: int) -> None:
        super().__init__()
        self._entropy = [seed, epoch]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # Keras draws from PyTorch's global generator; elsewhere every layer has its own.
        (word,) = np.random.SeedSequence(self._entropy).generate_state(1)
        keras.utils.set_random_seed(int(word))
        for number, layer in enumerate(self.model.layers):
            if isinstance(layer, keras.layers.Dropout):
                words = np.random.SeedSequence([*self._entropy, number]).generate_state(2)
                # One bit less: PyTorch's seeds are int32, TensorFlow's int64, JAX's uint32.
                layer.seed_generator.state.assign(words >> 1)


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Stops at a loss that is no number, and tells of every step."""

    def __init__(self, epoch: int, total: int, progress: Progress | None) -> None:
        super().__init__()
        self._epoch = epoch
        self._total = total
        self._progress = progress

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = float((logs or {}).get("loss", np.nan))
        if not np.isfinite(loss):
            raise _not_a_number(self._epoch)
        if self._progress:
            self._progress.step(self._epoch, batch + 1, self._total, loss)
