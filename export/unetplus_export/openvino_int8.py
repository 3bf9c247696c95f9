"""OpenVINO in int8: NNCF's quantisation after training, and what it costs layer by layer."""

from __future__ import annotations

import logging
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from unetplus_edge.errors import ConversionError
from unetplus_export.calibration import required_patches
from unetplus_export.layer_losses import some_of, worst_first
from unetplus_export.openvino_model import answers, convolutions, data_inputs, float_model, known_layers
from unetplus_runtime.engines.openvino import import_openvino, without_telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.manifest import CalibrationMethod
    from unetplus_export.conversion import Request


def quantised(request: Request, model: Any) -> Any:
    """Return a model with 8-bit weights and 8-bit inputs of all convolutions but the first and the last.

    These two read one channel or write one, which is as fast in float; the image in 8 bits alone
    would add about as much error to the answers as everything else. Weights have a scale for each
    output channel; inputs have one for all channels, from zero where a ReLU is before them. Ranges
    of inputs are means over the calibration patches: with the method
    "min-max" of the least and the greatest value in each, with "percentile" of the values that one
    in 10,000 is beyond on either side.

    Parameters
    ----------
    request
        What is asked for: its calibration, method and `keep` count here.
    model
        The float model, as `float_model` gives it.

    Raises
    ------
    ConversionError
        If there are no patches to calibrate on, or they are not what the network reads; NNCF has
        no such method; a layer to keep is none of the network's; or what stays out of int8 is
        wanted in fp16.
    """
    patches = required_patches(request)
    layers = known_layers(request, model, "int8")
    if request.remainder != "fp32":
        raise ConversionError(
            f"OpenVINO stores what stays out of int8 in fp32, not in {request.remainder}; leave the remainder out"
        )
    with without_telemetry():
        import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

    parameters = AdvancedQuantizationParameters(
        # Halved weights against overflow on processors without VNNI, and biases shifted by the mean
        # error, each take the answers farther from the float model's than they bring them.
        overflow_fix=OverflowFix.DISABLE,
        disable_bias_correction=True,
        activations_range_estimator_params=_range_estimator(request.method),
    )
    with _silent(nncf):
        return nncf.quantize(
            model,
            nncf.Dataset([patch[None] for patch in patches]),
            # Asymmetric for inputs with negative values; a symmetric range would waste half its steps after ELU.
            preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice.CPU,
            subset_size=len(patches),
            ignored_scope=nncf.IgnoredScope(names=sorted({layers[0], layers[-1], *request.keep})),
            advanced_parameters=parameters,
        )


def higher_precision(model: Any) -> tuple[str, ...]:
    """Return the layers of a quantised model that are not computed in 8 bits, by their names in the Keras model."""
    return tuple(name for name, node in convolutions(model).items() if _quantisation(node) is None)


def layer_errors(request: Request, file: Path) -> list[tuple[str, float]]:
    """Return what each 8-bit layer costs: the network's answers with that layer alone in 8 bits.

    Parameters
    ----------
    request
        What the file was made of; the answers to 8 of its calibration patches are compared.
    file
        The `.xml` file that `convert_openvino` wrote.

    Returns
    -------
    list of (str, float)
        Layers by their names in the Keras model, and in dB how far the float network's
        probabilities are above the error that the layer adds to them; worst first. Layers that
        are not in 8 bits are not in it.
    """
    patches = some_of(required_patches(request))
    ov = import_openvino()
    model = float_model(request)
    alone = (
        (name, _with_one_quantised(ov, model, name, quantisation))
        for name, node in convolutions(ov.Core().read_model(file)).items()
        if (quantisation := _quantisation(node)) is not None
    )
    return worst_first(lambda network: answers(network, patches), model, alone)


class _Range(NamedTuple):
    """What 8 bits stand for: lowest and highest value, of all channels or of each, and the number of steps."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    levels: int


class _Quantisation(NamedTuple):
    """A layer's weights after rounding, and the range of its input."""

    weights: NDArray[np.float32]
    input_range: _Range


def _range_estimator(method: CalibrationMethod) -> Any:
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    estimators = {
        "min-max": RangeEstimatorParametersSet.MEAN_MINMAX,
        "percentile": RangeEstimatorParametersSet.MEAN_QUANTILE,
    }
    if method not in estimators:
        raise ConversionError(
            f"NNCF, which makes int8 for OpenVINO, takes no ranges by {method}; ask for {' or '.join(estimators)}"
        )
    return estimators[method]


@contextmanager
def _silent(nncf: Any) -> Iterator[None]:
    """Keep NNCF's messages, and its progress bars, which it prints on standard output whatever its log level."""
    level = nncf.nncf_logger.level
    nncf.set_log_level(logging.ERROR)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        nncf.set_log_level(level)


def _quantisation(node: Any) -> _Quantisation | None:
    """Return how a convolution is quantised, or None where weights or input are not in 8 bits."""
    input_range = _input_range(node.input_value(0).get_node())
    if input_range is None or not _has_few_levels(node.input_value(1).get_node()):
        return None
    return _Quantisation(_value(node.input_value(1)), input_range)


def _input_range(node: Any) -> _Range | None:
    # A FakeQuantize in front of a concatenation, a pooling or a nearest up-sampling does the same as
    # behind it, since it treats every value alike.
    kind = node.get_type_name()
    if kind == "FakeQuantize":
        low, high = (_value(node.input_value(number)).ravel() for number in (1, 2))
        return _Range(low, high, node.get_attributes()["levels"])
    if kind == "Concat":
        return _joined([(_input_range(source), _channels(source)) for source in data_inputs(node)])
    if kind in ("MaxPool", "Interpolate", "Transpose", "Reshape"):
        return _input_range(data_inputs(node)[0])
    return None


def _joined(parts: list[tuple[_Range | None, int]]) -> _Range | None:
    low, high, levels = [], [], 0
    for found, channels in parts:
        if found is None:
            return None
        low.append(np.broadcast_to(found.low, channels))
        high.append(np.broadcast_to(found.high, channels))
        levels = found.levels
    return _Range(np.concatenate(low), np.concatenate(high), levels)


def _channels(node: Any) -> int:
    return int(node.get_output_partial_shape(0)[1].get_length())


def _has_few_levels(node: Any) -> bool:
    if node.get_type_name() == "Constant":
        return node.get_element_type().get_type_name() in ("i8", "u8")
    return node.get_type_name() == "FakeQuantize" or any(
        _has_few_levels(value.get_node()) for value in node.input_values()
    )


def _value(output: Any) -> NDArray[np.float32]:
    """Return what constants amount to."""
    ov = import_openvino()
    model = ov.Model([ov.opset13.result(output)], [])
    value: NDArray[np.float32] = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})({})[0]
    return value


def _with_one_quantised(ov: Any, model: Any, name: str, quantisation: _Quantisation) -> Any:
    copy = model.clone()
    node = convolutions(copy)[name]
    low, high = (end.reshape(1, -1, 1, 1) for end in quantisation.input_range[:2])
    levels = quantisation.input_range.levels
    rounded = ov.opset13.fake_quantize(node.input_value(0), low, high, low, high, levels)
    node.input(0).replace_source_output(rounded.output(0))
    node.input(1).replace_source_output(ov.opset13.constant(quantisation.weights).output(0))
    return copy
