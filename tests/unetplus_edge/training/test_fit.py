"""The training loop: it learns, it can be killed, and it says what went wrong."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs the train extra")
from unetplus_edge.architectures import UNetPlusPlus  # noqa: E402
from unetplus_edge.datasets import Sample  # noqa: E402
from unetplus_edge.errors import TrainingError  # noqa: E402
from unetplus_edge.training.fit import fit  # noqa: E402
from unetplus_edge.training.losses import CrossEntropyLogDice  # noqa: E402
from unetplus_edge.training.patches import Patches, PatchMaker, TrainingData  # noqa: E402
from unetplus_edge.training.run_folder import RunFolder  # noqa: E402

TRAIN_ALONE = """
import sys
from pathlib import Path
from unetplus_edge.datasets import Sample
from unetplus_edge.training.fit import fit
from unetplus_edge.training.patches import TrainingData
from unetplus_edge.training.run_folder import RunFolder

folder, run = Path(sys.argv[1]), RunFolder(Path(sys.argv[2]))
samples = tuple(Sample(f"drawn-{n}", folder / f"{n}.png", folder / f"{n}-labels.png") for n in range(5))
data = TrainingData(samples[:4], samples[4:])
"""


class Stopwatch:
    """Keeps what it is told, and presses Ctrl-C after an epoch."""

    def __init__(self, stop_after=0):
        self.steps = []
        self.records = []
        self.patches_kept = None
        self._stop_after = stop_after

    def step(self, epoch, done, total, loss):
        self.steps.append((epoch, done, total))
        assert np.isfinite(loss)

    def epoch(self, record):
        self.records.append(record)
        if record.epoch == self._stop_after:
            raise KeyboardInterrupt


def started(path, recipe):
    run = RunFolder(path)
    run.start(recipe)
    return run


def final_state(run):
    """All weights after the last epoch, the optimiser's too."""
    model = keras.models.load_model(run.checkpoint(len(run.records())))
    return [keras.ops.convert_to_numpy(variable) for variable in (*model.weights, *model.optimizer.variables)]


def patches_in_memory():
    gc.collect()
    return sum(isinstance(thing, Patches) for thing in gc.get_objects())


def without_time(records):
    return [(r.epoch, r.learning_rate, r.patches, r.loss, r.validation_loss) for r in records]


def assert_same_ending(one, other):
    assert without_time(one.records()) == without_time(other.records())
    for left, right in zip(final_state(one), final_state(other), strict=True):
        np.testing.assert_array_equal(left, right)
    bests = [keras.models.load_model(run.best, compile=False).get_weights() for run in (one, other)]
    for left, right in zip(*bests, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, drawn_data, tiny_recipe):
    """An unbroken run, and what was told of it."""
    run, told = started(tmp_path_factory.mktemp("whole"), tiny_recipe), Stopwatch()
    before = patches_in_memory()
    fit(tiny_recipe, drawn_data, run, told)
    told.patches_kept = patches_in_memory() - before
    return run, told


@pytest.fixture(scope="module")
def two_phases(tmp_path_factory, drawn_data, tiny_recipe):
    """A run with a second part that changes no weight, and with another seed; its weights after each epoch."""
    # A step of Adam is at most about the learning rate; one of 1e-30 changes no float32 weight.
    changes = {"epochs": 1, "extra_epochs": 1, "extra_learning_rate": 1e-30, "seed": 6}
    recipe = tiny_recipe.model_copy(update=changes)
    run, weights = started(tmp_path_factory.mktemp("two-phases"), recipe), []

    class KeepWeights(Stopwatch):
        def epoch(self, record):
            model = keras.models.load_model(run.checkpoint(record.epoch))
            weights.append([keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables])

    fit(recipe, drawn_data, run, KeepWeights())
    return run, weights


def test_a_training_learns(whole):
    run, _ = whole
    losses = [record.loss for record in run.records()]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.8 * losses[0]


def test_progress_hears_of_every_step_and_epoch(whole):
    run, told = whole
    assert told.records == run.records()
    assert [record.epoch for record in told.records] == [1, 2, 3, 4, 5]
    for record in told.records:
        total = -(-record.patches // 8)
        assert [step for step in told.steps if step[0] == record.epoch] == [
            (record.epoch, done, total) for done in range(1, total + 1)
        ]


def test_patches_of_past_epochs_are_not_kept_in_memory(whole):
    _, told = whole
    # TensorFlow keeps every data set that it was given; those for validation share their patches.
    assert told.patches_kept <= 1


def test_a_finished_run_is_left_as_it_is(whole, drawn_data):
    run, _ = whole
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    again = Stopwatch()
    fit(run.recipe(), drawn_data, run, again)
    assert not again.steps
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before


@pytest.mark.slow
def test_a_run_killed_at_any_moment_ends_as_an_unbroken_one(tmp_path, drawn_data, whole):
    unbroken, _ = whole
    killed = started(tmp_path, unbroken.recipe())
    # It goes no further than the fourth of five epochs, so that the kill always meets it alive.
    script = f"""{TRAIN_ALONE}
import time
class Wait:
    def step(self, *arguments): pass
    def epoch(self, record):
        if record.epoch == 4: time.sleep(3600)
fit(run.recipe(), data, run, Wait())
"""
    folder = drawn_data.training[0].image_path.parent
    with subprocess.Popen([sys.executable, "-c", script, str(folder), str(killed.path)]) as process:
        while not killed.log.exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(np.random.default_rng().uniform(0, 1))
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert 1 <= len(killed.records()) <= 4
    fit(killed.recipe(), drawn_data, killed)
    assert_same_ending(killed, unbroken)
    assert {path.name for path in killed.path.iterdir()} == {path.name for path in unbroken.path.iterdir()}


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": UNetPlusPlus(base_filters=2, depth=2)},
        {"architecture": UNetPlusPlus(base_filters=2, depth=2), "precision": "mixed_bfloat16"},
        {"precision": "mixed_bfloat16"},
    ],
    ids=["dropout", "dropout-bfloat16", "batch-norm-bfloat16"],
)
def test_a_run_ends_alike_broken_and_unbroken(tmp_path, drawn_data, tiny_recipe, changes):
    recipe = tiny_recipe.model_copy(update={**changes, "epochs": 2})
    unbroken, broken = (started(tmp_path / name, recipe) for name in ("unbroken", "broken"))
    fit(recipe, drawn_data, unbroken)
    with pytest.raises(KeyboardInterrupt):
        fit(recipe, drawn_data, broken, Stopwatch(stop_after=1))
    # What a kill in the midst of the second epoch's writing leaves behind.
    for name in ("epoch-2.keras", ".unfinished-epoch-2.keras", ".unfinished-log.csv", ".unfinished-best.keras"):
        (broken.path / name).write_text("cut short")
    fit(recipe, drawn_data, broken)
    assert_same_ending(broken, unbroken)


def test_a_training_in_bfloat16_learns_much_the_same(tmp_path, drawn_data, whole):
    run, _ = whole
    recipe = run.recipe().model_copy(update={"precision": "mixed_bfloat16"})
    other = started(tmp_path, recipe)
    fit(recipe, drawn_data, other)
    losses, others = ([record.loss for record in one.records()] for one in (run, other))
    assert others != losses
    assert others == pytest.approx(losses, rel=0.02)


def test_the_second_part_has_its_own_learning_rate(two_phases):
    run, weights = two_phases
    assert [record.learning_rate for record in run.records()] == [0.01, 1e-30]
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)
    model = keras.models.load_model(run.checkpoint(2))
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-30)


def test_another_seed_is_another_training(whole, two_phases):
    (run, _), (reseeded, _) = whole, two_phases
    assert reseeded.records()[0].loss != run.records()[0].loss


def test_the_logged_loss_is_that_of_the_patches_and_the_l2_penalty(tmp_path, drawn_data, tiny_recipe):
    architecture = tiny_recipe.architecture.model_copy(update={"l2": 0.1})
    recipe = tiny_recipe.model_copy(update={"epochs": 1, "architecture": architecture})
    run = started(tmp_path, recipe)
    fit(recipe, drawn_data, run)
    model = keras.models.load_model(run.best)
    patches = PatchMaker(drawn_data, recipe).validation_patches()
    loss = float(CrossEntropyLogDice()(patches.masks, model.predict(patches.images, verbose=0)))
    kernels = [weight for weight in model.trainable_variables if weight.name == "kernel"]
    penalty = 0.1 * sum(float(np.square(keras.ops.convert_to_numpy(kernel)).sum()) for kernel in kernels)
    assert run.records()[0].validation_loss == pytest.approx(loss + penalty, rel=1e-4)


def test_a_loss_that_is_no_number_stops_with_the_last_checkpoint_kept(tmp_path, drawn_data, tiny_recipe):
    recipe = tiny_recipe.model_copy(update={"epochs": 1, "extra_epochs": 1, "extra_learning_rate": 3e38})
    run = started(tmp_path, recipe)
    with pytest.raises(TrainingError, match=r"no longer a number in epoch 2.*--learning-rate"):
        fit(recipe, drawn_data, run)
    assert [record.epoch for record in run.records()] == [1]
    assert all(np.isfinite(array).all() for array in final_state(run))


def test_a_missing_or_damaged_checkpoint_is_an_error_that_names_it(tmp_path, whole, drawn_data):
    run = RunFolder(tmp_path / "copy")
    shutil.copytree(whole[0].path, run.path)
    checkpoint = run.checkpoint(5)
    for damage in (lambda: checkpoint.write_bytes(checkpoint.read_bytes()[:1000]), checkpoint.unlink):
        damage()
        with pytest.raises(TrainingError, match=r"epoch-5\.keras is missing or damaged"):
            fit(run.recipe(), drawn_data, run)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (MemoryError(), "memory ran out with batches of 8"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"), "memory ran out"),
        (ValueError("something else"), "something else"),
    ],
)
def test_memory_that_runs_out_is_an_error_that_says_so(tmp_path, drawn_data, tiny_recipe, error, shown):
    class Huge(Sample):
        def image(self):
            raise error

    huge = Huge("huge", tmp_path / "image.png", tmp_path / "labels.png")
    with pytest.raises(type(error) if isinstance(error, ValueError) else TrainingError, match=shown):
        fit(tiny_recipe, TrainingData((huge,), drawn_data.validation), started(tmp_path, tiny_recipe))


def test_images_that_are_gone_are_an_error(tmp_path, tiny_recipe):
    with pytest.raises(TrainingError, match="no images"):
        fit(tiny_recipe, TrainingData((), ()), started(tmp_path, tiny_recipe))


@pytest.mark.slow
# What JAX compiled is read by TensorFlow here, which does not compile where it is to be deterministic.
@pytest.mark.filterwarnings("ignore:Model doesn't support `jit_compile=True`:UserWarning")
@pytest.mark.parametrize("backend", [name for name in ("jax", "torch") if find_spec(name)])
def test_other_frameworks_train_and_resume_too(tmp_path, drawn_data, tiny_recipe, backend):
    recipe = tiny_recipe.model_copy(update={"architecture": UNetPlusPlus(base_filters=2, depth=2), "epochs": 2})
    whole, broken = (started(tmp_path / name, recipe) for name in ("whole", "broken"))
    script = f"""{TRAIN_ALONE}
import keras
assert keras.backend.backend() == "{backend}"
fit(run.recipe(), data, run)
broken = RunFolder(Path(sys.argv[3]))
class Stop:
    def step(self, *arguments): pass
    def epoch(self, record): raise InterruptedError
try:
    fit(run.recipe(), data, broken, Stop())
except InterruptedError:
    fit(run.recipe(), data, broken)
"""
    folder = drawn_data.training[0].image_path.parent
    command = [sys.executable, "-c", script, str(folder), str(whole.path), str(broken.path)]
    # Three trainings of one network: JAX need not compile it three times.
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    subprocess.run(command, check=True, env={**os.environ, **cache, "KERAS_BACKEND": backend})
    assert_same_ending(broken, whole)
    first, last = whole.records()
    assert last.loss < first.loss
