"""The table that an export prints."""

from __future__ import annotations

from rich.console import Console

from unetplus_edge.manifest import ConversionRecord, ParityRecord, VerificationRecord
from unetplus_export.outcome import Outcome
from unetplus_export.tables import outcome_table


def test_the_widest_words_are_not_cut_on_a_terminal_of_80_letters() -> None:
    parity = ParityRecord(patches=9, max_difference=0.00123, mean_difference=0.0, flipped_per_million=123456.7)
    tried = VerificationRecord(
        engine="onnxruntime",
        executed_precision="fp32",
        library="onnxruntime 1",
        verified=True,
        parity=parity,
        score_drop={"average_iou": -0.0123, "kaggle_score": 0.0456, "dice": 0.0},
    )
    record = ConversionRecord(
        file="a.zip", sha256="0" * 64, target="bioimageio", stored_precision="fp32", verifications=(tried,)
    )
    console = Console(width=80, record=True, file=None, quiet=False)
    with console.capture() as shown:
        console.print(
            outcome_table(
                "tiny",
                [
                    Outcome("bioimageio", "fp32", "verified", None, record, 12_340_000),
                    Outcome("trt", "int8", "impossible", "no TensorRT"),
                ],
            )
        )
    lines = shown.get().splitlines()
    assert not any("…" in line for line in lines)
    assert lines[3].split() == [
        *("bioimageio", "fp32", "12.34", "onnxruntime", "fp32", "1.2e-03", "123457", "-0.0123", "+0.0456", "yes")
    ]
    assert lines[4].split() == ["trt", "int8", *["-"] * 6, "not", "made"]


def test_the_side_of_a_patch_is_told_where_it_is_not_the_models_own() -> None:
    records = [
        ConversionRecord(
            file="a.onnx", sha256="0" * 64, target="onnx", stored_precision="fp32", patch_side=side, verifications=()
        )
        for side in (None, 128)
    ]
    console = Console(width=80)
    with console.capture() as shown:
        console.print(outcome_table("tiny", [Outcome("onnx", "fp32", "unverified", "", each, 1) for each in records]))
    *_, own, other = shown.get().splitlines()
    assert own.split()[:3] == ["onnx", "fp32", "0.00"]
    assert other.split()[:3] == ["onnx", "fp32", "128"]
