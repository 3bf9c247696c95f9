from __future__ import annotations

import pytest

from unetplus_export.trt.boards import BOARDS, precision_refusal
from unetplus_runtime.engines.tensorrt_flavour import Flavour


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_no_board_offers_a_precision_that_its_gpu_is_refused(board):
    for capability in board.compute_capabilities:
        refused = {kind for kind in ("fp32", "tf32", "fp16", "int8") if precision_refusal(kind, capability)}
        assert refused.isdisjoint(board.precisions)


# The version that each row names, written out once more.
VERSIONS = {
    "GTX 1080 Ti (Pascal)": "8.6.1",
    "Jetson Orin with JetPack 6": "10.3.0",
    "Jetson Thor with JetPack 7.0, 7.1": "10.13.3",
    "Jetson Orin, Thor with JetPack 7.2": "10.16.2",
    "Volta (V100, Titan V)": "10.4.0",
    "Turing (RTX 20, GTX 16, T4)": "11.4.0",
    "Ampere, Ada, Blackwell (RTX 30 and newer, A-series, L4)": "11.4.0",
    "Data-centre Hopper, Blackwell (H100, H200, B200)": "11.4.0",
}


@pytest.mark.parametrize("board", [board for board in BOARDS if board.precisions], ids=lambda board: board.name)
def test_the_tensorrt_of_a_board_runs_on_its_gpu(board):
    version = VERSIONS[board.name]
    assert version.split(".")[0] in board.tensorrt
    flavour = Flavour("tensorrt", version, None)
    assert [flavour.refusal(capability) for capability in board.compute_capabilities] == [None] * len(
        board.compute_capabilities
    )


@pytest.mark.parametrize(
    ("precision", "capability", "is_refused"),
    [
        ("fp16", "6.1", True),
        ("int8", "6.1", False),
        ("fp16", "7.0", False),
        ("tf32", "7.5", True),
        ("tf32", "8.7", False),
        ("tf32", "12.0", False),
    ],
)
def test_what_is_of_no_use_on_a_gpu_is_refused(precision, capability, is_refused):
    assert (precision_refusal(precision, capability) is not None) == is_refused
