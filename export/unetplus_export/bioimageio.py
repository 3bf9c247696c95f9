"""bioimage.io: a model package with Keras and ONNX weights, which deepImageJ, ilastik, QuPath and napari load."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile

import cv2
import numpy as np

import unetplus_edge
from unetplus_edge.datasets.specimen import Specimen, simulate
from unetplus_edge.errors import ConversionError
from unetplus_edge.evaluation import outline_overlay
from unetplus_edge.files import whole_file
from unetplus_edge.imaging import PatchGrid, label_nuclei, preprocess
from unetplus_export.bioimageio_readme import ARTICLE, ARTICLE_DOI, DATA, DATA_DOI, readme, title_of
from unetplus_export.conversion import Converted
from unetplus_export.onnx import convert_onnx
from unetplus_export.saved_model import keras_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unetplus_edge.manifest import Manifest
    from unetplus_export.conversion import Request

_SEED = 7
_DEVELOPERS = "unetplus-edge developers"
_TAGS = ["nuclei", "nucleus", "fluorescence-light-microscopy", "2d", "segmentation", "semantic-segmentation"]


@dataclass(frozen=True)
class _Example:
    """A simulated frame and what the Keras model says of it.

    Attributes
    ----------
    frame
        Raw, shape (side, side).
    patches, answers
        Preprocessed, and probabilities: float32, shape (1, side, side, 1).
    """

    frame: NDArray[np.generic]
    patches: NDArray[np.float32]
    answers: NDArray[np.float32]


def convert_bioimageio(request: Request, destination: Path) -> Converted:
    """Write a bundle's Keras model as a bioimage.io model package, a `.zip` with `rdf.yaml` in it.

    It holds the weights twice, as Keras and as ONNX in float32, for any number of patches of one
    size; a simulated patch with the Keras model's answer, to test with; a description; a README
    and a cover picture of that patch. CLAHE and total-variation denoising are no operations of
    the format: its input is the preprocessed patch, and the README says how to make one.

    Parameters
    ----------
    request
        What to convert; fp32 alone.
    destination
        The file to write.

    Raises
    ------
    ConversionError
        If another precision is asked for, or the network cannot be had as ONNX.
    """
    if request.precision != "fp32":
        raise ConversionError(f"bioimage.io packages are written in fp32, not in {request.precision}; ask for fp32")
    request = replace(request, batch=None)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = keras_model(request)
        model.save(folder / "model.keras")
        converted = convert_onnx(request, folder / "model.onnx")
        example = _example(model, request)
        for name, values in (("input", example.patches), ("output", example.answers)):
            np.save(folder / f"test_{name}.npy", values)
            cv2.imwrite(str(folder / f"sample_{name}.png"), np.rint(255 * values[0]).astype(np.uint8))
        cv2.imwrite(str(folder / "cover.png"), _cover(example, request))
        (folder / "README.md").write_text(readme(request.bundle.manifest, request.patch_side), encoding="utf-8")
        with whole_file(destination) as unfinished:
            _write_package(request, model.count_params(), folder, unfinished)
    return Converted(
        tools={**converted.tools, "bioimageio.spec": version("bioimageio.spec")}, operators=converted.operators
    )


def _example(model: Any, request: Request) -> _Example:
    side, manifest = request.patch_side, request.bundle.manifest
    # A specimen has 32 pixels at the least.
    frame = simulate(Specimen(height=max(side, 32), width=max(side, 32), seed=_SEED)).image[:side, :side]
    patches = PatchGrid(side, side, side).cut(preprocess(frame, manifest.recipe.preprocessing))
    return _Example(frame, patches, np.asarray(model(patches, training=False), np.float32))


def _cover(example: _Example, request: Request) -> NDArray[np.uint8]:
    """Return the frame, and beside it the outlines of the nuclei that are found in it: uint8 BGR."""
    labels = label_nuclei(example.answers[0, :, :, 0], request.bundle.manifest.postprocessing)
    pair = [outline_overlay(example.frame, shown) for shown in (np.zeros_like(labels), labels)]
    return np.ascontiguousarray(np.hstack(pair)[:, :, ::-1])


def _write_package(request: Request, weights: int, folder: Path, file: Path) -> None:
    from bioimageio.spec import ValidationContext, save_bioimageio_package_as_folder
    from pydantic import ValidationError

    package = folder / "package"
    try:
        # Nothing is looked up: every file is here, and what is cited has a DOI instead of an address.
        with ValidationContext(root=folder, log_warnings=False), warnings.catch_warnings():
            # It leaves closing the files that it reads to their collection.
            warnings.filterwarnings("ignore", "unclosed file", ResourceWarning)
            save_bioimageio_package_as_folder(_description(request, weights, folder), output_path=package)
    except ValidationError as error:
        raise ConversionError(
            f"bioimageio.spec {version('bioimageio.spec')} with pydantic {version('pydantic')} refuses to describe "
            f"{request.bundle.manifest.name} ({error.errors()[0]['msg']}); install the versions that fit: "
            "pip install 'unetplus-edge[export]'"
        ) from error
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for path in sorted(package.iterdir()):
            archive.write(path, path.name)


def _description(request: Request, weights: int, folder: Path) -> Any:
    """Return the package's description, as `bioimageio.spec` has it."""
    import keras
    import onnx
    from bioimageio.spec.model import v0_5 as spec

    manifest = request.bundle.manifest
    opset = onnx.load(folder / "model.onnx", load_external_data=False).opset_import[0].version
    tensorflow = spec.Version(version("tensorflow"))

    def file(name: str) -> Any:
        return spec.FileDescr(source=folder / name)

    return spec.ModelDescr(
        name=f"Nuclei segmentation with {title_of(manifest)} ({manifest.name.replace('.', '-')})"[:128],
        description=(
            f"Probability of nucleus in grey-scale fluorescence images, by {title_of(manifest)} (Long 2020), "
            "trained on the 2018 Data Science Bowl. The input is preprocessed: scaled to [0, 1], CLAHE, "
            "total-variation denoising; the README says how."
        ),
        authors=[spec.Author(name=_DEVELOPERS)],
        cite=[
            spec.CiteEntry(text=ARTICLE, doi=spec.Doi(ARTICLE_DOI)),
            spec.CiteEntry(
                text=f"unetplus-edge {unetplus_edge.__version__}, the software of this package, after the same article",
                doi=spec.Doi(ARTICLE_DOI),
            ),
            spec.CiteEntry(text=DATA, doi=spec.Doi(DATA_DOI)),
        ],
        license=spec.LicenseId("BSD-3-Clause"),
        tags=[*_TAGS, manifest.recipe.architecture.kind, "keras", "onnx", "dsb2018"],
        documentation=file("README.md"),
        covers=[file("cover.png")],
        version=spec.Version(unetplus_edge.__version__),
        inputs=[_input(manifest, request.patch_side, file, spec)],
        outputs=[_output(manifest, request.patch_side, file, spec)],
        training_data=_training_data(manifest, spec),
        weights=spec.WeightsDescr(
            keras_v3=spec.KerasV3WeightsDescr(
                source=folder / "model.keras",
                keras_version=spec.Version(keras.__version__),
                backend=("tensorflow", tensorflow),
            ),
            onnx=spec.OnnxWeightsDescr(source=folder / "model.onnx", opset_version=opset, parent="keras_v3"),
        ),
        config=spec.Config(bioimageio=_details(manifest, weights, spec)),
    )


def _axes(side: int, space: Any, spec: Any) -> list[Any]:
    return [
        spec.BatchAxis(),
        *(space(id=spec.AxisId(name), size=side) for name in "yx"),
    ]


def _input(manifest: Manifest, side: int, file: Callable[[str], Any], spec: Any) -> Any:
    return spec.InputTensorDescr(
        id=spec.TensorId(manifest.input.name),
        description="Preprocessed patch: scaled to [0, 1], CLAHE, total-variation denoising; see the README.",
        axes=[
            *_axes(side, spec.SpaceInputAxis, spec),
            spec.ChannelAxis(channel_names=[spec.Identifier("intensity")]),
        ],
        data=spec.IntervalOrRatioDataDescr(type="float32", range=(manifest.input.low, manifest.input.high)),
        test_tensor=file("test_input.npy"),
        sample_tensor=file("sample_input.png"),
    )


def _output(manifest: Manifest, side: int, file: Callable[[str], Any], spec: Any) -> Any:
    return spec.OutputTensorDescr(
        id=spec.TensorId(manifest.output.name),
        description=f"Probability of nucleus; above {manifest.postprocessing.threshold:g} a pixel is nucleus.",
        axes=[
            *_axes(side, spec.SpaceOutputAxis, spec),
            spec.ChannelAxis(channel_names=[spec.Identifier("nucleus")]),
        ],
        data=spec.IntervalOrRatioDataDescr(type="float32", range=(manifest.output.low, manifest.output.high)),
        test_tensor=file("test_output.npy"),
        sample_tensor=file("sample_output.png"),
    )


def _training_data(manifest: Manifest, spec: Any) -> Any:
    from bioimageio.spec.dataset import v0_3 as datasets

    data = manifest.data_set
    counts = f"{data.training_images} images to learn from, {data.validation_images} held out. " if data else ""
    return datasets.DatasetDescr(
        name="2018 Data Science Bowl (BBBC038)",
        description=(
            f"{counts}The grey-scale fluorescence images of the first stage of the 2018 Data Science Bowl, "
            "Broad Bioimage Benchmark Collection BBBC038, CC0."
        ),
        authors=[datasets.Author(name="Broad Bioimage Benchmark Collection")],
        cite=[datasets.CiteEntry(text=DATA, doi=datasets.Doi(DATA_DOI))],
        license=datasets.LicenseId("CC0-1.0"),
        tags=["nuclei", "fluorescence-light-microscopy", "2d", "dsb2018"],
    )


def _details(manifest: Manifest, weights: int, spec: Any) -> Any:
    recipe = manifest.recipe
    return spec.BioimageioConfig(
        architecture_type=title_of(manifest),
        modality="fluorescence microscopy",
        target_structure=["nuclei"],
        task="semantic segmentation",
        model_parameter_count=weights,
        training=spec.TrainingDetails(
            training_preprocessing="scaled to [0, 1], CLAHE, total-variation denoising, cut into patches",
            training_epochs=manifest.epochs_trained,
            training_batch_size=recipe.batch_size,
            initial_learning_rate=recipe.learning_rate,
            loss_function="binary cross entropy + mean over patches of -log Dice",
            optimizer="Adam",
        ),
    )
