"""Which files of a bundle are timed, and why others are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unetplus_bench.measuring.files import served_files, timed_files
from unetplus_runtime.engines import open_engine

if TYPE_CHECKING:
    from unetplus_edge.bundle import Bundle


def test_keras_is_first_and_every_engine_has_its_files(
    paper_bundle: Bundle, paper: Any, with_conversion: Any, tried: Any
) -> None:
    bundle = with_conversion(paper_bundle, paper("a.tflite"), "tflite", "int8", tried("litert", "int8"))
    bundle = with_conversion(bundle, paper("b.onnx"), "onnx", "fp32", tried("onnxruntime", "fp32"))
    bundle = with_conversion(bundle, paper("c.xml"), "openvino", "int8")
    assert [(file.title, file.path.name if file.path else None) for file in timed_files(bundle, None, None)] == [
        ("keras fp32", "model.keras"),
        ("litert int8", "a.tflite"),
        ("onnxruntime fp32", "b.onnx"),
        ("openvino int8", "c.xml"),
        ("openvino onnx fp32", "b.onnx"),
    ]


def test_files_are_chosen_by_engine_and_by_stored_precision(
    paper_bundle: Bundle, paper: Any, with_conversion: Any
) -> None:
    bundle = with_conversion(paper_bundle, paper("a.tflite"), "tflite", "fp32")
    bundle = with_conversion(bundle, paper("b.tflite"), "tflite", "int8")
    bundle = with_conversion(bundle, paper("b.onnx"), "onnx", "int8")
    assert [file.title for file in timed_files(bundle, ("litert",), ("int8",))] == ["litert int8"]


def test_int8_files_that_leave_different_things_out_are_told_apart(
    paper_bundle: Bundle, paper: Any, with_conversion: Any
) -> None:
    bundle = with_conversion(paper_bundle, paper("a.xml"), "openvino", "int8", remainder="fp32")
    bundle = with_conversion(bundle, paper("b.xml"), "openvino", "int8", remainder="fp16")
    titles = [file.title for file in timed_files(bundle, ("openvino",), None)]
    assert titles == ["openvino int8+fp32", "openvino int8+fp16"]


def test_size_is_with_companions(paper_bundle: Bundle, paper: Any, with_conversion: Any) -> None:
    from unetplus_edge.files import sha256_of
    from unetplus_edge.manifest import FileRecord

    graph, weights = paper("a.xml"), paper("a.bin")
    companion = FileRecord(file="exports/a.bin", sha256=sha256_of(weights))
    bundle = with_conversion(paper_bundle, graph, "openvino", "fp32", companions=(companion,))
    (file,) = timed_files(bundle, ("openvino",), None)
    assert file.size == graph.stat().st_size + weights.stat().st_size


def test_a_file_that_does_not_segment_on_an_engine_is_not_timed_there(
    paper_bundle: Bundle, paper: Any, with_conversion: Any, tried: Any
) -> None:
    verdicts = (tried("onnxruntime", "fp32"), tried("openvino", "int8", verified=False))
    bundle = with_conversion(paper_bundle, paper("b.onnx"), "onnx", "int8", *verdicts)
    errors = {file.engine: file.error for file in timed_files(bundle, ("onnxruntime", "openvino"), None)}
    assert errors == {
        "onnxruntime": None,
        "openvino": "it is not verified: mean difference 0.2 is above 0.0001",
    }


def test_a_file_that_could_not_be_tried_elsewhere_is_timed(
    paper_bundle: Bundle, paper: Any, with_conversion: Any, tried: Any
) -> None:
    verdict = tried("litert", "fp32", verified=False, parity=None, score_drop=None)
    bundle = with_conversion(paper_bundle, paper("a.tflite"), "tflite", "fp32", verdict)
    (file,) = timed_files(bundle, ("litert",), None)
    assert file.error is None


def test_an_engine_that_is_asked_for_and_has_no_file_says_what_to_run(paper_bundle: Bundle) -> None:
    (file,) = timed_files(paper_bundle, ("openvino",), ("int8",))
    assert file.error is not None
    assert file.error.endswith(
        f"for openvino; run: unetplus-export {paper_bundle.path} --target openvino --precision int8"
    )


def test_an_engine_without_files_is_left_out_where_it_is_not_asked_for(paper_bundle: Bundle) -> None:
    assert [file.engine for file in timed_files(paper_bundle, None, None)] == ["keras"]


def test_a_precision_of_computing_alone_is_asked_of_the_float32_file(
    paper_bundle: Bundle, paper: Any, with_conversion: Any
) -> None:
    bundle = with_conversion(paper_bundle, paper("a.xml"), "openvino", "fp32")
    bundle = with_conversion(bundle, paper("b.xml"), "openvino", "int8")
    files = timed_files(bundle, ("openvino",), ("bf16",))
    assert [(file.title, file.stored, file.execution) for file in files] == [("openvino fp32 in bf16", "fp32", "bf16")]


def test_a_file_for_patches_of_another_side_is_not_timed(
    paper_bundle: Bundle, paper: Any, with_conversion: Any
) -> None:
    bundle = with_conversion(paper_bundle, paper("a.tflite"), "tflite", "fp32", patch_side=128)
    assert [file.engine for file in timed_files(bundle, None, None)] == ["keras"]


def test_a_service_gets_one_row_of_files_that_are_computed_alike(
    paper_bundle: Bundle, paper: Any, with_conversion: Any, tried: Any
) -> None:
    bundle = with_conversion(paper_bundle, paper("half.tflite"), "tflite", "fp16", tried("litert", "fp32"))
    bundle = with_conversion(bundle, paper("whole.tflite"), "tflite", "fp32", tried("litert", "fp32"))
    bundle = with_conversion(bundle, paper("small.tflite"), "tflite", "int8", tried("litert", "int8"))
    bundle = with_conversion(bundle, paper("bad.xml"), "openvino", "int8", tried("openvino", "int8", verified=False))
    served = served_files(timed_files(bundle, None, None), bundle.manifest)
    assert [(file.path.name if file.path else None, file.execution, file.error is None) for file in served] == [
        ("model.keras", "fp32", True),
        ("whole.tflite", "fp32", True),
        ("small.tflite", "int8", True),
        ("bad.xml", None, False),
    ]


def test_a_service_takes_the_file_that_open_engine_would(bundle: Bundle) -> None:
    (file,) = served_files(timed_files(bundle, ("litert",), None), bundle.manifest)
    with open_engine(bundle, file.engine, execution=file.execution) as engine:
        assert engine.info.file == file.path
