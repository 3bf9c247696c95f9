"""The manifest of a model bundle: everything that is known about a model, as it is written to disk."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from unetplus_edge.datasets.dsb2018 import Labels
from unetplus_edge.imaging import Postprocessing
from unetplus_edge.training.recipe import Recipe

SCHEMA_VERSION: Final = 1
"""Version of the manifest that this version of the project writes and reads."""

Target = Literal["tflite", "onnx", "openvino", "trt", "bioimageio"]
Precision = Literal["fp32", "fp16", "int8", "bf16", "tf32"]
CalibrationMethod = Literal["min-max", "entropy", "percentile"]
EngineName = Literal["litert", "onnxruntime", "openvino", "tensorrt", "keras"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _inside(file: str) -> str:
    path = PurePosixPath(file)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise ValueError("must be a path inside the bundle")
    return str(path)


InsidePath = Annotated[str, AfterValidator(_inside)]
"""A relative path, with slashes, that does not leave the bundle."""


class _Record(BaseModel):
    # JSON has no NaN and no infinity: a manifest that held one could not be read again.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TensorRecord(_Record):
    """Input or output of the network.

    Attributes
    ----------
    name
        As in every conversion.
    axes
        "nyxc": patch, row, column, channel.
    shape
        With null for the number of patches.
    dtype, low, high
        Type of the values, and their range.
    """

    name: str
    axes: Literal["nyxc"] = "nyxc"
    shape: tuple[int | None, int, int, int]
    dtype: Literal["float32"] = "float32"
    low: float = 0.0
    high: float = 1.0


class DataSetRecord(_Record):
    """What the model was trained on.

    Attributes
    ----------
    name
        The data set.
    labels
        Which of its labels.
    training_images, validation_images
        Number of images learnt from, and held out.
    sha256
        Of all these images and labels.
    """

    name: str
    labels: Labels
    training_images: int
    validation_images: int
    sha256: Sha256


class ScoreRecord(_Record):
    """The scores of a model on a set of images, by design of `unetplus_edge.evaluation`.

    Attributes
    ----------
    images
        Which set: "validation_images" or "test_images".
    engine, precision
        What ran the model, and in which precision it computed.
    scores
        By name.
    """

    images: Literal["validation_images", "test_images"]
    engine: EngineName
    precision: Precision
    scores: dict[str, float | None]


class ParityRecord(_Record):
    """How far a conversion is from the Keras model, on real patches.

    Attributes
    ----------
    patches
        Number of patches compared.
    max_difference, mean_difference
        Largest and mean absolute difference of probability.
    flipped_per_million
        Pixels per million that are on the other side of the threshold.
    """

    patches: int
    max_difference: float
    mean_difference: float
    flipped_per_million: float


class VerificationRecord(_Record):
    """One engine's try at a conversion.

    Attributes
    ----------
    engine, executed_precision
        What ran it, and in which precision it computed.
    library
        Name and version of what computed; null where nothing did.
    frames
        What both were shown: real patches of the training part, or simulated ones.
    verified
        Whether it kept every limit.
    reason
        Why not, in one sentence; null where it did.
    parity
        Null where it could not run.
    score_drop
        By how much scores on the validation images are below the Keras model's; null where that
        was not measured.
    """

    engine: EngineName
    executed_precision: Precision
    library: str | None = None
    frames: Literal["real", "simulated"] = "real"
    verified: bool
    reason: str | None = None
    parity: ParityRecord | None = None
    score_drop: dict[str, float] | None = None


class CalibrationRecord(_Record):
    """The patches that an int8 conversion was calibrated on.

    Attributes
    ----------
    source
        Where they come from, for a reader.
    simulated
        Whether they are of the simulated specimen, for want of real ones.
    patches
        Their number.
    sha256
        Of all of them, as float32, in order.
    method
        How ranges were taken of them, as `--calibration-method` names it.
    """

    source: str
    simulated: bool = False
    patches: int
    sha256: Sha256
    method: CalibrationMethod


class FileRecord(_Record):
    """A file of the bundle that belongs to another one, such as the weights of an OpenVINO model."""

    file: InsidePath
    sha256: Sha256


class ConversionRecord(_Record):
    """One file that was made of the Keras model.

    Attributes
    ----------
    file
        Its path inside the bundle.
    sha256
        Of the file.
    companions
        Files beside it that it cannot be opened without.
    target
        The format.
    stored_precision
        Of the weights, as found in the file.
    remainder
        Stored precision of what an int8 file leaves out of int8; null in others.
    operators
        How often each operator is in the file, for formats that can tell.
    higher_precision
        Layers that int8 leaves in the remainder's precision, or whose weights fp16 leaves in fp32.
    patch_side
        Side of a patch in pixels, where it is not the recipe's; null where it is. Such a file is
        for whoever opens it by its name: with the bundle's frames it would not fit.
    verifications
        One an engine.
    tools
        Versions of what made it.
    calibration
        For int8.
    """

    file: InsidePath
    sha256: Sha256
    companions: tuple[FileRecord, ...] = ()
    target: Target
    stored_precision: Precision
    remainder: Literal["fp32", "fp16"] | None = None
    operators: dict[str, int] = {}
    higher_precision: tuple[str, ...] = ()
    patch_side: int | None = None
    verifications: tuple[VerificationRecord, ...] = ()
    tools: dict[str, str] = {}
    calibration: CalibrationRecord | None = None

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """The file that is opened, and then its companions."""
        return (FileRecord(file=self.file, sha256=self.sha256), *self.companions)

    def verified_by(self, engine: EngineName) -> VerificationRecord | None:
        """Return the passed verification of an engine, or None."""
        return next((record for record in self.verifications if record.engine == engine and record.verified), None)


class PlanRecord(_Record):
    """A TensorRT engine that was built of one of the bundle's ONNX files; it lies in the user's cache.

    The same record lies beside the engine, as JSON.

    Attributes
    ----------
    key
        Of the cache: a hash of everything below that decides whether the engine may be used.
    onnx_file, onnx_sha256
        What it was built of.
    precision
        Of its convolutions.
    flavour, version
        The library, TensorRT or TensorRT-RTX, with its whole version.
    gpu, compute_capability
        What it was built for: name and "8.7"; "portable" and null where it was built without a GPU.
    batches
        Smallest, usual and largest number of patches a call.
    patch_side
        Side of a patch in pixels.
    flags
        What the builder was told beside that, sorted.
    sha256
        Of the engine.
    precision_evidence
        What shows the precision: the parsed, strongly typed network before the build, or the
        inspector of the built engine.
    widened
        Layers that the library computes in a higher precision than asked for, where it has none
        in that precision.
    verification
        Of the engine on the machine that it is for.
    """

    key: Sha256
    onnx_file: InsidePath
    onnx_sha256: Sha256
    precision: Precision
    flavour: Literal["tensorrt", "tensorrt_rtx"]
    version: str
    gpu: str
    compute_capability: str | None
    batches: tuple[int, int, int]
    patch_side: int
    flags: tuple[str, ...] = ()
    sha256: Sha256
    precision_evidence: Literal["network", "inspector"]
    widened: tuple[str, ...] = ()
    verification: VerificationRecord


class Manifest(_Record):
    """Everything that is known about a model.

    Attributes
    ----------
    schema_version
        Of this description.
    name
        Of the model.
    recipe
        How it was trained; holds network and preprocessing.
    postprocessing
        Constants from probability to labels, chosen on the validation images.
    input, output
        Of the network.
    data_set
        What it was trained on.
    keras_file, keras_sha256
        The Keras model that every conversion is made of and compared with.
    epochs_trained, best_epoch
        Length of the training, and the epoch whose weights were kept.
    scores
        What was measured.
    conversions
        What was made of it.
    plans
        TensorRT engines that were built of its ONNX files.
    tools
        Versions of what trained it.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    recipe: Recipe
    postprocessing: Postprocessing = Postprocessing()
    input: TensorRecord
    output: TensorRecord
    data_set: DataSetRecord | None = None
    keras_file: InsidePath = "model.keras"
    keras_sha256: Sha256
    epochs_trained: int
    best_epoch: int
    scores: tuple[ScoreRecord, ...] = ()
    conversions: tuple[ConversionRecord, ...] = ()
    plans: tuple[PlanRecord, ...] = ()
    tools: dict[str, str] = {}
