"""The zoo's int8 TFLite file under tflite-runtime 2.14, the last interpreter for old boards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_edge.bundle import open_bundle
from unetplus_edge.datasets.specimen import Specimen, simulate
from unetplus_edge.evaluation import score_image, score_set
from unetplus_edge.imaging import label_nuclei, preprocess
from unetplus_edge.zoo import find_bundle
from unetplus_runtime import Segmenter, open_engine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle

ROOT = Path(__file__).parents[2]
SEEDS = range(6)
# What the edge part needs, but for its own interpreter. The last OpenCV for numpy 1 is found by pip.
PACKAGES = ("tflite-runtime==2.14.0", "numpy<2", "opencv-python-headless", "tifffile", "pydantic", "click", "rich")

SEGMENT = """
import sys
from pathlib import Path
import numpy as np
from unetplus_runtime import Segmenter, open_engine
bundle, file, frames, answers = map(Path, sys.argv[1:])
with open_engine(file) as engine, Segmenter(bundle, engine) as segmenter:
    info = engine.info
    print(info.library, info.library_version, info.stored_precision, info.executed_precision)
    with np.load(frames) as given:
        np.savez(answers, **{name: segmenter.segment(given[name]).labels for name in given})
"""

RUN_WITHOUT_DELEGATE = """
import sys
import numpy as np
from tflite_runtime.interpreter import Interpreter, OpResolverType
file, patches, answers = sys.argv[1:]
interpreter = Interpreter(file, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
interpreter.allocate_tensors()
found = []
for patch in np.load(patches):
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], patch[None])
    interpreter.invoke()
    found.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
np.save(answers, np.stack(found))
"""


@pytest.fixture(scope="module")
def old_board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new virtual environment with tflite-runtime in place of LiteRT."""
    if sys.version_info >= (3, 12):
        pytest.skip("tflite-runtime 2.14 has no wheel for Python 3.12 or newer")
    folder = tmp_path_factory.mktemp("old-board")
    python = folder / "venv" / "bin" / "python"
    pip = ["-m", "pip", "--disable-pip-version-check", "--quiet"]
    for command in (
        [sys.executable, *pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT],
        [sys.executable, "-m", "venv", folder / "venv"],
        [python, *pip, "install", "--only-binary=:all:", *PACKAGES],
        [python, *pip, "install", "--no-deps", "--no-index", "--find-links", folder, "unetplus-edge"],
    ):
        subprocess.run(command, check=True, env=clean_environment())
    return python


def clean_environment() -> dict[str, str]:
    """Return the environment without what would bring packages of this one into another."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(find_bundle().path)


@pytest.fixture(scope="module")
def int8_file(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zoo's, or one made of its Keras model where it has none."""
    shipped = bundle.conversion("tflite", "int8")
    if shipped is not None:
        return bundle.file_of(shipped)
    pytest.importorskip("tensorflow", reason="needs the export extra")
    from unetplus_export.calibration import calibration_patches
    from unetplus_export.conversion import Request
    from unetplus_export.tflite import convert_tflite

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("UNETPLUS_DATA", raising=False)
        calibration = calibration_patches(bundle.manifest, count=16)
    file = tmp_path_factory.mktemp("int8") / "model.tflite"
    convert_tflite(Request(bundle, "int8", bundle.manifest.recipe.patch_side, calibration=calibration), file)
    return file


def run(python: Path, code: str, *arguments: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python, "-c", code, *arguments]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, cwd=arguments[-1].parent
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_int8_file_finds_the_same_nuclei(old_board: Path, bundle: Bundle, int8_file: Path, tmp_path: Path) -> None:
    frames = {str(seed): simulate(Specimen(height=256, width=320, seed=seed)).image for seed in SEEDS}
    np.savez(tmp_path / "frames.npz", **frames)  # type: ignore[arg-type]
    said = run(old_board, SEGMENT, bundle.path, int8_file, tmp_path / "frames.npz", tmp_path / "labels.npz")
    assert said.split() == ["tflite-runtime", "2.14.0", "int8", "int8"]
    with (
        open_engine(int8_file) as engine,
        Segmenter(bundle, engine) as segmenter,
        np.load(tmp_path / "labels.npz") as labels,
    ):
        assert engine.info.library == "ai-edge-litert"
        pairs = [(segmenter.segment(frame).labels, labels[name]) for name, frame in frames.items()]
    # LiteRT's faster kernels round the sums of convolutions in another way: a few pixels at edges change sides.
    different = np.mean([np.mean((expected > 0) != (found > 0)) for expected, found in pairs])
    assert different < 2e-3
    assert score_set([score_image(*pair) for pair in pairs]).ap50_pooled > 0.97


@pytest.mark.slow
def test_the_convolutions_of_xnnpack_are_what_tells_the_interpreters_apart(
    old_board: Path, bundle: Bundle, int8_file: Path, tmp_path: Path
) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter: Any = Interpreter(
        str(int8_file), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    given, answered = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    constants, side = bundle.manifest.recipe.preprocessing, bundle.manifest.recipe.patch_side
    patches = np.stack(
        [
            preprocess(simulate(Specimen(height=side, width=side, seed=seed)).image, constants)[:, :, None]
            for seed in SEEDS
        ]
    )
    # Values that int8 has: the two round what lies between two steps in different ways.
    step = next(
        tensor["quantization"][0]
        for tensor in interpreter.get_tensor_details()
        if tensor["dtype"] is np.int8 and tuple(tensor["shape"]) == tuple(given["shape"])
    )
    patches = (np.rint(patches / step) * step).astype(np.float32)
    answers = []
    for patch in patches:
        interpreter.set_tensor(given["index"], patch[None])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(answered["index"])[0])
    np.save(tmp_path / "patches.npy", patches)
    run(old_board, RUN_WITHOUT_DELEGATE, int8_file, tmp_path / "patches.npy", tmp_path / "answers.npy")
    found: NDArray[np.float32] = np.load(tmp_path / "answers.npy")
    np.testing.assert_allclose(found, np.stack(answers), atol=1e-5)
    for one, other in zip(found, answers, strict=True):
        np.testing.assert_array_equal(
            label_nuclei(one[:, :, 0], bundle.manifest.postprocessing),
            label_nuclei(other[:, :, 0], bundle.manifest.postprocessing),
        )
