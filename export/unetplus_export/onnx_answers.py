"""What an ONNX graph answers, computed by onnxruntime on the CPU as the graph says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray


def answers(model: onnx.ModelProto, patches: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probabilities of patches: float64, shape (n, side, side, 1).

    Parameters
    ----------
    model
        A graph that takes any number of patches.
    patches
        float32 in [0, 1], shape (n, side, side, 1).
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # As the file says, without roundings that onnxruntime would add where it finds Q/DQ.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = model.graph.input[0].name
    return np.concatenate([session.run(None, {name: patch[None]})[0] for patch in patches]).astype(np.float64)
