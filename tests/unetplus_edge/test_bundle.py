"""Bundles: made whole, opened only when whole."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Literal

import pytest

from unetplus_edge.architectures import UNetPlus
from unetplus_edge.bundle import MANIFEST, Bundle, add_conversion, create_bundle, open_bundle, update_manifest
from unetplus_edge.errors import BundleError, OutputError
from unetplus_edge.files import sha256_of
from unetplus_edge.imaging import Postprocessing
from unetplus_edge.manifest import ConversionRecord, FileRecord, Manifest, TensorRecord
from unetplus_edge.training.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.manifest import Precision


@pytest.fixture
def keras_model(tmp_path: Path) -> Path:
    """A file in the place of a Keras model: bundles know files, not what is in them."""
    file = tmp_path / "trained.keras"
    file.write_bytes(b"weights")
    return file


def _manifest(keras_model: Path) -> Manifest:
    return Manifest(
        name="unet_plus_tc_b8",
        recipe=Recipe(architecture=UNetPlus(base_filters=8)),
        input=TensorRecord(name="image", shape=(None, 256, 256, 1)),
        output=TensorRecord(name="probability", shape=(None, 256, 256, 1)),
        keras_sha256=sha256_of(keras_model),
        epochs_trained=3,
        best_epoch=2,
    )


@pytest.fixture
def bundle(tmp_path: Path, keras_model: Path) -> Bundle:
    return create_bundle(tmp_path / "models" / "bundle", keras_model, _manifest(keras_model))


def _converted(
    folder: Path, content: bytes, precision: Precision = "fp32", name: str = "exports/model.tflite"
) -> tuple[Path, ConversionRecord]:
    file = folder / "converted"
    file.write_bytes(content)
    return file, ConversionRecord(file=name, sha256=sha256_of(file), target="tflite", stored_precision=precision)


def _rewrite(bundle: Bundle, change: dict[str, Any]) -> None:
    path = bundle.path / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_a_new_bundle_opens_as_it_was_made(bundle: Bundle, keras_model: Path) -> None:
    opened = open_bundle(bundle.path)
    assert opened == bundle
    assert opened.keras_path.read_bytes() == keras_model.read_bytes()
    assert sorted(path.name for path in bundle.path.iterdir()) == [MANIFEST, "model.keras"]


def test_the_manifest_is_utf_8_whatever_the_locale(bundle: Bundle) -> None:
    update_manifest(bundle, bundle.manifest.model_copy(update={"tools": {"made by": "Zoë"}}))
    assert "Zoë" in (bundle.path / MANIFEST).read_bytes().decode("utf-8")
    assert open_bundle(bundle.path).manifest.tools == {"made by": "Zoë"}


def test_a_conversion_is_found_by_target_and_precision(tmp_path: Path, bundle: Bundle) -> None:
    changed = add_conversion(bundle, *_converted(tmp_path, b"float", "fp32", "exports/a.tflite"))
    changed = add_conversion(changed, *_converted(tmp_path, b"integer", "int8", "exports/b.tflite"))
    opened = open_bundle(bundle.path)
    assert opened == changed
    found = opened.conversion("tflite", "int8")
    assert found is not None
    assert opened.file_of(found).read_bytes() == b"integer"
    assert opened.conversion("tflite", "fp16") is None
    assert opened.conversion("onnx", "int8") is None


@pytest.mark.parametrize("name", ["exports/model.tflite", "exports/newer.tflite"])
def test_a_newer_conversion_takes_the_place_of_the_earlier(tmp_path: Path, bundle: Bundle, name: str) -> None:
    changed = add_conversion(bundle, *_converted(tmp_path, b"old"))
    changed = add_conversion(changed, *_converted(tmp_path, b"new", name=name))
    opened = open_bundle(bundle.path)
    assert opened == changed
    assert [opened.file_of(record).read_bytes() for record in opened.manifest.conversions] == [b"new"]
    assert [path.name for path in (bundle.path / "exports").iterdir()] == [name.removeprefix("exports/")]


def _converted_pair(folder: Path, model: bytes, weights: bytes) -> tuple[Path, ConversionRecord]:
    folder.mkdir()
    files = [folder / "model.xml", folder / "model.bin"]
    for file, content in zip(files, (model, weights), strict=True):
        file.write_bytes(content)
    return files[0], ConversionRecord(
        file="exports/model.xml",
        sha256=sha256_of(files[0]),
        companions=(FileRecord(file="exports/model.bin", sha256=sha256_of(files[1])),),
        target="openvino",
        stored_precision="fp32",
    )


def test_the_companions_of_a_conversion_come_and_go_with_it(tmp_path: Path, bundle: Bundle) -> None:
    changed = add_conversion(bundle, *_converted_pair(tmp_path / "a", b"model", b"weights"))
    assert open_bundle(bundle.path) == changed
    assert (bundle.path / "exports" / "model.bin").read_bytes() == b"weights"
    changed = add_conversion(changed, *_converted_pair(tmp_path / "b", b"newer model", b"newer weights"))
    assert open_bundle(bundle.path) == changed
    assert (bundle.path / "exports" / "model.bin").read_bytes() == b"newer weights"
    alone = changed.manifest.conversions[0].model_copy(update={"companions": ()})
    add_conversion(changed, tmp_path / "b" / "model.xml", alone)
    assert [path.name for path in (bundle.path / "exports").iterdir()] == ["model.xml"]


def test_a_changed_companion_is_an_error_that_names_it(tmp_path: Path, bundle: Bundle) -> None:
    add_conversion(bundle, *_converted_pair(tmp_path / "a", b"model", b"weights"))
    (bundle.path / "exports" / "model.bin").write_bytes(b"weighty")
    with pytest.raises(BundleError, match=r"model\.bin is not the file that the manifest was written for"):
        open_bundle(bundle.path)


def test_a_companion_that_is_not_the_one_of_the_record_is_refused(tmp_path: Path, bundle: Bundle) -> None:
    file, record = _converted_pair(tmp_path / "a", b"model", b"weights")
    file.with_suffix(".bin").write_bytes(b"others")
    with pytest.raises(BundleError, match=r"model\.bin is not the file that its record was written for"):
        add_conversion(bundle, file, record)
    assert open_bundle(bundle.path) == bundle


def test_int8_files_that_differ_in_their_remainder_stand_side_by_side(tmp_path: Path, bundle: Bundle) -> None:
    remainders: tuple[Literal["fp32", "fp16"], ...] = ("fp32", "fp16")
    for remainder in remainders:
        file, record = _converted(tmp_path, remainder.encode(), "int8", f"exports/{remainder}.onnx")
        bundle = add_conversion(bundle, file, record.model_copy(update={"remainder": remainder}))
    for remainder in remainders:
        found = bundle.conversion("tflite", "int8", remainder)
        assert found is not None
        assert bundle.file_of(found).read_bytes() == remainder.encode()


def test_files_for_patches_of_several_sides_stand_side_by_side(tmp_path: Path, bundle: Bundle) -> None:
    sides = (None, 128, 512)
    for side in sides:
        file, record = _converted(tmp_path, f"{side}".encode(), "fp32", f"exports/{side}.tflite")
        bundle = add_conversion(bundle, file, record.model_copy(update={"patch_side": side}))
    for side in sides:
        found = bundle.conversion("tflite", "fp32", patch_side=side)
        assert found is not None
        assert bundle.file_of(found).read_bytes() == f"{side}".encode()
    assert open_bundle(bundle.path) == bundle


@pytest.mark.parametrize("name", ["model.keras", MANIFEST, "exports/model.tflite"])
def test_a_conversion_never_overwrites_another_file_of_the_bundle(tmp_path: Path, bundle: Bundle, name: str) -> None:
    bundle = add_conversion(bundle, *_converted(tmp_path, b"float", "fp32"))
    with pytest.raises(BundleError, match="another file name"):
        add_conversion(bundle, *_converted(tmp_path, b"integer", "int8", name))
    assert open_bundle(bundle.path) == bundle


def test_a_conversion_that_cannot_be_copied_leaves_the_bundle_as_it_was(tmp_path: Path, bundle: Bundle) -> None:
    bundle = add_conversion(bundle, *_converted(tmp_path, b"old"))
    # The name of the unfinished copy is taken by a folder, so that writing fails.
    (bundle.path / "exports" / ".unfinished-model.tflite").mkdir()
    with pytest.raises(OutputError):
        add_conversion(bundle, *_converted(tmp_path, b"new"))
    assert open_bundle(bundle.path) == bundle


def test_a_bundle_is_whole_where_replacing_a_conversion_stops(tmp_path: Path, bundle: Bundle) -> None:
    bundle = add_conversion(bundle, *_converted(tmp_path, b"old"))
    file, record = _converted(tmp_path, b"new")
    states = []

    # Every line of the project's own code is a place to stop at: what is on disk then must open.
    def opens(frame: Any, event: str, argument: object) -> Any:
        if event == "line":
            sys.settrace(None)
            opened = open_bundle(bundle.path)
            states.append([opened.file_of(conversion).read_bytes() for conversion in opened.manifest.conversions])
            sys.settrace(opens)
        return opens if "unetplus_edge" in frame.f_code.co_filename else None

    tracer = sys.gettrace()
    sys.settrace(opens)
    try:
        add_conversion(bundle, file, record)
    finally:
        sys.settrace(tracer)
    assert states[0] == [b"old"]
    assert states[-1] == [b"new"]
    assert all(state in ([b"old"], [], [b"new"]) for state in states)


@pytest.mark.parametrize("change", ["missing", "other"])
def test_a_conversion_must_be_the_file_of_its_record(tmp_path: Path, bundle: Bundle, change: str) -> None:
    file, record = _converted(tmp_path, b"float")
    file.unlink() if change == "missing" else file.write_bytes(b"flOat")
    with pytest.raises(BundleError, match="converted"):
        add_conversion(bundle, file, record)
    assert open_bundle(bundle.path) == bundle


@pytest.mark.parametrize("damaged", ["model.keras", "exports/model.tflite"])
def test_a_changed_byte_is_an_error_that_names_the_file(tmp_path: Path, bundle: Bundle, damaged: str) -> None:
    add_conversion(bundle, *_converted(tmp_path, b"converted weights"))
    path = bundle.path / damaged
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    with pytest.raises(BundleError, match=rf"{damaged} is not the file.*copy the bundle again"):
        open_bundle(bundle.path)


@pytest.mark.parametrize("missing", ["model.keras", "exports/model.tflite"])
def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path, bundle: Bundle, missing: str) -> None:
    add_conversion(bundle, *_converted(tmp_path, b"converted weights"))
    (bundle.path / missing).unlink()
    with pytest.raises(BundleError, match=rf"lacks {missing}"):
        open_bundle(bundle.path)


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(bundle: Bundle, tmp_path: Path) -> None:
    bundle.keras_path.unlink()
    bundle.keras_path.symlink_to("/proc/self/mem")
    with pytest.raises(BundleError, match=r"model.keras cannot be read"):
        open_bundle(bundle.path)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_version_is_an_error_that_says_which_is_read(bundle: Bundle, version: object) -> None:
    _rewrite(bundle, {"schema_version": version})
    with pytest.raises(BundleError, match=rf"schema version {version}.*reads 1"):
        open_bundle(bundle.path)


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "blue"},
        {"epochs_trained": "many"},
        {"recipe": {}},
        {"keras_file": "../../secret"},
        {"conversions": [{"file": "x"}]},
    ],
    ids=str,
)
def test_an_unknown_or_wrong_field_is_an_error_that_names_it(bundle: Bundle, change: dict[str, object]) -> None:
    _rewrite(bundle, change)
    with pytest.raises(BundleError, match=rf"damaged: {next(iter(change))}"):
        open_bundle(bundle.path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe{}", b"[" * 200_000, b'"text"', b"\x00" * 100],
    ids=lambda c: str(c[:8]),
)
def test_damaged_json_is_an_error(bundle: Bundle, content: bytes) -> None:
    (bundle.path / MANIFEST).write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        open_bundle(bundle.path)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model bundle"):
        open_bundle(tmp_path)
    with pytest.raises(BundleError, match="no model bundle"):
        open_bundle(tmp_path / "absent")


def test_a_file_is_no_bundle(keras_model: Path) -> None:
    with pytest.raises(BundleError, match="no model bundle"):
        open_bundle(keras_model)


def test_an_existing_folder_is_never_made_a_bundle(tmp_path: Path, keras_model: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "notes.txt").write_text("keep")
    with pytest.raises(OutputError, match="exists already"):
        create_bundle(folder, keras_model, _manifest(keras_model))
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_folder_that_cannot_be_made_is_an_error(keras_model: Path) -> None:
    with pytest.raises(OutputError, match="cannot be made"):
        create_bundle(keras_model / "bundle", keras_model, _manifest(keras_model))


@pytest.mark.parametrize("change", ["missing", "other"])
def test_a_bundle_is_made_of_the_model_of_its_manifest_or_not_at_all(
    tmp_path: Path, keras_model: Path, change: str
) -> None:
    manifest = _manifest(keras_model)
    keras_model.unlink() if change == "missing" else keras_model.write_bytes(b"other")
    with pytest.raises(BundleError, match=r"trained.keras"):
        create_bundle(tmp_path / "bundle", keras_model, manifest)
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_that_cannot_be_finished_leaves_no_folder(tmp_path: Path, keras_model: Path) -> None:
    # The model takes the name of the folder that the manifest's file would have to replace.
    manifest = _manifest(keras_model).model_copy(update={"keras_file": f"{MANIFEST}/model.keras"})
    with pytest.raises(OutputError, match=r"manifest\.json cannot be written"):
        create_bundle(tmp_path / "bundle", keras_model, manifest)
    assert not (tmp_path / "bundle").exists()


def test_a_manifest_is_replaced_whole(bundle: Bundle) -> None:
    constants = Postprocessing(threshold=0.4)
    changed = update_manifest(bundle, bundle.manifest.model_copy(update={"postprocessing": constants}))
    assert open_bundle(bundle.path) == changed
    assert changed.manifest.postprocessing == constants
    assert changed.manifest.recipe == bundle.manifest.recipe
