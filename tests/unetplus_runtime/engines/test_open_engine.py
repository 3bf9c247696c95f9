from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from unetplus_edge.bundle import add_conversion, update_manifest
from unetplus_edge.errors import BundleError, EngineError, InputError
from unetplus_edge.files import sha256_of
from unetplus_edge.manifest import ConversionRecord, VerificationRecord
from unetplus_runtime.engines import ENGINES, ORDER, open_engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unetplus_edge.bundle import Bundle
    from unetplus_edge.manifest import Precision

    MakeBundle = Callable[..., Bundle]


def with_verifications(bundle: Bundle, *records: VerificationRecord) -> Bundle:
    conversion = bundle.manifest.conversions[0].model_copy(update={"verifications": records})
    return update_manifest(bundle, bundle.manifest.model_copy(update={"conversions": (conversion,)}))


def test_every_engine_in_the_order_is_in_the_table() -> None:
    assert {name for name, _ in ORDER} <= set(ENGINES)


def test_what_was_never_converted_is_not_passed_over(bundle: Bundle) -> None:
    assert ORDER.index(("openvino", "int8")) < ORDER.index(("litert", "fp32"))
    with open_engine(bundle) as engine:
        assert engine.info.passed_over == ()


def test_a_file_that_several_engines_read_is_opened_by_the_one_that_is_named(tmp_path: Path) -> None:
    readers = [name for name, kind in ENGINES.items() if ".onnx" in kind.suffixes]
    assert readers == ["onnxruntime", "openvino"]
    file = tmp_path / "net.onnx"
    file.write_bytes(b"no network")
    with pytest.raises(EngineError, match=r"litert runs no \.onnx files; .* ask for onnxruntime or openvino"):
        open_engine(file, "litert")


def test_auto_takes_the_first_verified_engine(bundle: Bundle) -> None:
    with open_engine(bundle) as engine:
        assert (engine.info.engine, engine.info.executed_precision) == ("litert", "fp32")
        assert engine.info.file == bundle.path / "exports" / "tiny.tflite"
        assert engine.info.passed_over == ()


def test_a_bundle_is_opened_by_its_folder_too(bundle: Bundle) -> None:
    for folder in (bundle.path, str(bundle.path)):
        with open_engine(folder, threads=1) as engine:
            assert (engine.info.engine, engine.info.threads) == ("litert", 1)


def test_auto_passes_over_what_is_not_verified_and_says_so(
    make_bundle: MakeBundle, keras_file: Path, tflite_file: Path
) -> None:
    bundle = make_bundle(keras_file, tflite_file, verified=False)
    with open_engine(bundle) as engine:
        assert engine.info.engine == "keras"
        (reason,) = engine.info.passed_over
    assert reason.startswith("litert: exports/tiny.tflite is not verified (mean difference 0.2 is above 0.0001)")
    assert f"run: unetplus-export verify {bundle.path}" in reason


def test_auto_passes_over_what_does_not_open_and_says_so(
    make_bundle: MakeBundle, keras_file: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"verified once, on a day that nobody remembers")
    with open_engine(make_bundle(keras_file, broken)) as engine:
        assert engine.info.engine == "keras"
        (reason,) = engine.info.passed_over
    assert "litert: " in reason
    assert "is no TFLite network" in reason


def test_a_library_that_is_missing_is_told_of_once(
    make_bundle: MakeBundle, keras_file: Path, tflite_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle(keras_file, tflite_file)
    precisions: tuple[Precision, ...] = ("fp32", "int8")
    for precision in precisions:
        file = tmp_path / f"model_{precision}.xml"
        file.write_text(precision)
        record = ConversionRecord(
            file=f"exports/{file.name}",
            sha256=sha256_of(file),
            target="openvino",
            stored_precision=precision,
            verifications=(VerificationRecord(engine="openvino", executed_precision=precision, verified=True),),
        )
        bundle = add_conversion(bundle, file, record)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with open_engine(bundle) as engine:
        assert engine.info.engine == "litert"
        (reason,) = engine.info.passed_over
    assert reason.startswith("openvino: the library of the openvino engine is not installed")


def test_if_none_opens_every_reason_is_told(make_bundle: MakeBundle, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"neither")
    with pytest.raises(EngineError, match="no engine opens here: ") as raised:
        open_engine(make_bundle(broken))
    told = str(raised.value)
    assert "keras: " in told
    assert "litert: " in told
    for target in ("tflite", "onnx", "openvino"):
        assert f"holds no {target} conversion; run: unetplus-export" in told


@pytest.mark.parametrize("name", ["litert", "keras"])
def test_an_engine_by_name_is_that_engine(bundle: Bundle, name: Any) -> None:
    with open_engine(bundle, name) as engine:
        assert engine.info.engine == name


def test_an_engine_by_name_never_becomes_another(make_bundle: MakeBundle, keras_file: Path, tflite_file: Path) -> None:
    with pytest.raises(EngineError, match=r"is not verified .* run: unetplus-export verify"):
        open_engine(make_bundle(keras_file, tflite_file, verified=False), "litert")
    bundle = make_bundle(keras_file)
    with pytest.raises(EngineError, match=f"holds no tflite conversion; run: unetplus-export {bundle.path}"):
        open_engine(bundle, "litert")


def test_a_conversion_that_another_engine_verified_is_refused(
    make_bundle: MakeBundle, keras_file: Path, tflite_file: Path
) -> None:
    other = VerificationRecord(engine="openvino", executed_precision="fp32", verified=True)
    bundle = with_verifications(make_bundle(keras_file, tflite_file), other)
    with pytest.raises(EngineError, match=r"exports/tiny\.tflite was never verified with litert"):
        open_engine(bundle, "litert")


def test_an_engine_that_failed_on_a_file_is_refused_whatever_another_makes_of_it(
    make_bundle: MakeBundle, keras_file: Path, tflite_file: Path
) -> None:
    passed = VerificationRecord(engine="onnxruntime", executed_precision="fp32", verified=True)
    failed = VerificationRecord(
        engine="openvino", executed_precision="int8", verified=False, reason="its average iou is 0.2000 below"
    )
    bundle = make_bundle(keras_file, tflite_file)
    changes = {"target": "onnx", "stored_precision": "int8", "verifications": (passed, failed)}
    conversion = bundle.manifest.conversions[0].model_copy(update=changes)
    bundle = update_manifest(bundle, bundle.manifest.model_copy(update={"conversions": (conversion,)}))
    with pytest.raises(EngineError, match=r"is not verified \(its average iou is 0\.2000 below\); run: "):
        open_engine(bundle, "openvino")


def test_a_precision_is_that_one_or_an_error(bundle: Bundle) -> None:
    with open_engine(bundle, execution="fp32") as engine:
        assert engine.info.engine == "litert"
    with pytest.raises(EngineError, match=r"exports/tiny\.tflite computes in fp32, not in int8"):
        open_engine(bundle, "litert", execution="int8")
    with pytest.raises(EngineError, match="keras has precision fp32 here, not int8"):
        open_engine(bundle, "auto", execution="int8")


def test_a_file_that_no_longer_computes_as_verified_is_refused(
    make_bundle: MakeBundle, keras_file: Path, tflite_file: Path
) -> None:
    record = VerificationRecord(engine="litert", executed_precision="int8", verified=True)
    bundle = with_verifications(make_bundle(keras_file, tflite_file), record)
    with pytest.raises(EngineError, match="litert has precision fp32 here, not int8"):
        open_engine(bundle, "litert")


def test_a_file_is_opened_by_its_suffix_verified_or_not(tflite_file: Path, keras_file: Path) -> None:
    for path, name in [(tflite_file, "litert"), (str(tflite_file), "litert"), (keras_file, "keras")]:
        with open_engine(path) as engine:
            assert engine.info.engine == name


def test_a_file_and_an_engine_that_do_not_fit_are_refused(tflite_file: Path) -> None:
    with pytest.raises(EngineError, match=r"keras runs no \.tflite files"):
        open_engine(tflite_file, "keras")


def test_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="is no file"):
        open_engine(tmp_path / "net.tflite")
    with pytest.raises(BundleError, match="neither a folder nor one of the zoo's"):
        open_engine(tmp_path / "net")


def test_an_unknown_engine_is_refused(bundle: Bundle) -> None:
    name: Any = "abacus"
    with pytest.raises(InputError, match="abacus is no engine; use one of auto, litert, onnxruntime, openvino, "):
        open_engine(bundle, name)


def test_a_conversion_for_patches_of_another_side_is_taken_by_its_file_alone(
    make_bundle: MakeBundle, keras_file: Path, tflite_file: Path
) -> None:
    bundle = make_bundle(keras_file, tflite_file)
    other = bundle.manifest.conversions[0].model_copy(update={"patch_side": 128})
    bundle = update_manifest(bundle, bundle.manifest.model_copy(update={"conversions": (other,)}))
    with open_engine(bundle) as engine:
        assert (engine.info.engine, engine.info.passed_over) == ("keras", ())
    with pytest.raises(EngineError, match="holds no tflite conversion; run: unetplus-export"):
        open_engine(bundle, "litert")
    with open_engine(bundle.file_of(other)) as engine:
        assert engine.info.engine == "litert"


def test_importing_the_package_imports_no_library_of_any_engine() -> None:
    code = """
import sys
import unetplus_runtime
from unetplus_runtime import Result, Segmenter, open_engine
libraries = {"ai_edge_litert", "tflite_runtime", "keras", "tensorflow", "onnxruntime", "openvino", "tensorrt"}
print(sorted(libraries & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_of_files_that_are_computed_alike_the_one_that_is_stored_so_is_taken(
    make_bundle: MakeBundle, keras_file: Path, tflite_file: Path
) -> None:
    bundle = make_bundle(keras_file, tflite_file)
    (plain,) = bundle.manifest.conversions
    half = bundle.path / "exports" / "half.tflite"
    half.write_bytes(tflite_file.read_bytes())
    widened = plain.model_copy(update={"file": "exports/half.tflite", "stored_precision": "fp16"})
    bundle = update_manifest(bundle, bundle.manifest.model_copy(update={"conversions": (widened, plain)}))
    with open_engine(bundle, "litert") as engine:
        assert engine.info.file.name == "tiny.tflite"
