"""A model bundle: a folder with a manifest, the Keras model and its conversions."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from unetplus_edge.errors import BundleError, OutputError
from unetplus_edge.files import sha256_of, whole_file
from unetplus_edge.manifest import SCHEMA_VERSION, ConversionRecord, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from unetplus_edge.manifest import Precision, Target

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Bundle:
    """An opened bundle, whose files are what its manifest says.

    Attributes
    ----------
    path
        The folder.
    manifest
        What it holds.
    """

    path: Path
    manifest: Manifest

    @property
    def keras_path(self) -> Path:
        """The Keras model."""
        return self.path / self.manifest.keras_file

    def conversion(
        self,
        target: Target,
        precision: Precision,
        remainder: Literal["fp32", "fp16"] | None = None,
        patch_side: int | None = None,
    ) -> ConversionRecord | None:
        """Return the conversion to a format with weights stored in a precision, or None.

        `remainder` tells int8 files apart that differ in what they leave out of int8; None takes
        the first. `patch_side` is that of the record: None for patches of the recipe's side.
        """
        return next(
            (
                record
                for record in self.manifest.conversions
                if record.target == target
                and record.stored_precision == precision
                and remainder in (None, record.remainder)
                and record.patch_side == patch_side
            ),
            None,
        )

    def file_of(self, conversion: ConversionRecord) -> Path:
        """Return where a conversion lies."""
        return self.path / conversion.file


def open_bundle(path: Path) -> Bundle:
    """Return the bundle in a folder, checked.

    Raises
    ------
    BundleError
        If there is none, its manifest is of another schema or damaged, or a file is missing or
        not the one that the manifest was written for.
    """
    manifest = _read_manifest(path)
    for file, expected in [
        (manifest.keras_file, manifest.keras_sha256),
        *((part.file, part.sha256) for record in manifest.conversions for part in record.files),
    ]:
        if not (path / file).is_file():
            raise BundleError(f"{path} lacks {file}, which its manifest names; copy the bundle again, or convert again")
        try:
            found = sha256_of(path / file)
        except OSError as error:
            raise BundleError(f"{path / file} cannot be read ({error.strerror}); copy the bundle again") from error
        if found != expected:
            raise BundleError(
                f"{path / file} is not the file that the manifest was written for (its SHA-256 differs); "
                "copy the bundle again, or convert again"
            )
    return Bundle(path, manifest)


def _read_manifest(path: Path) -> Manifest:
    try:
        content = json.loads((path / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(f"{path} is no model bundle: it holds no {MANIFEST}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path / MANIFEST} cannot be read ({error}); copy the bundle again") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"{path / MANIFEST} has schema version {version}; this version of unetplus-edge reads {SCHEMA_VERSION}: "
            "install the version that wrote it, or train and convert again"
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise BundleError(f"{path / MANIFEST} is damaged: {field}: {first['msg']}; copy the bundle again") from error


def create_bundle(path: Path, keras_model: Path, manifest: Manifest) -> Bundle:
    """Make a bundle of a Keras model in a new folder. Where that fails, there is no folder.

    Parameters
    ----------
    path
        The folder; must not exist.
    keras_model
        The `.keras` file to copy into it.
    manifest
        Written last, so that a folder with a manifest is a whole bundle.

    Raises
    ------
    BundleError
        If the Keras model is missing, or not the one that the manifest was written for.
    OutputError
        If the folder exists or cannot be written.
    """
    _check_source(keras_model, manifest.keras_sha256)
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        raise OutputError(f"{path} exists already; name another folder, or remove it first") from None
    except OSError as error:
        raise OutputError(f"{path} cannot be made ({error.strerror}); name another folder") from error
    try:
        with _copied(keras_model, path / manifest.keras_file):
            pass
        return _write_manifest(path, manifest)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def add_conversion(bundle: Bundle, file: Path, record: ConversionRecord) -> Bundle:
    """Copy a converted file into a bundle, in place of an earlier one of the same kind.

    Whenever this is interrupted, the bundle is whole: with the earlier conversion, with the new
    one, or for a moment, where both have the same file names, with neither.

    Parameters
    ----------
    bundle
        The bundle.
    file
        The converted file; its companions lie beside it, under the names that the record gives.
    record
        What it is. Earlier is what has the same target, stored precision, remainder and patch side.

    Returns
    -------
    Bundle
        The bundle as it is now.

    Raises
    ------
    BundleError
        If a file is missing, is not the one of the record, or would replace another file of the
        bundle.
    OutputError
        If the bundle cannot be written.
    """
    sources = [file, *(file.with_name(PurePosixPath(part.file).name) for part in record.companions)]
    for part, source in zip(record.files, sources, strict=True):
        _check_source(source, part.sha256)
    replaced = bundle.conversion(record.target, record.stored_precision, record.remainder, record.patch_side)
    kept = tuple(other for other in bundle.manifest.conversions if other != replaced)
    taken = {MANIFEST, bundle.manifest.keras_file, *(name for other in kept for name in _names(other))}
    for name in _names(record):
        if name in taken:
            raise BundleError(f"{bundle.path} uses {name} for something else; give the conversion another file name")
    earlier = _names(replaced) if replaced else set()
    with ExitStack() as copies:
        for part, source in zip(record.files, sources, strict=True):
            copies.enter_context(_copied(source, bundle.path / part.file))
        if earlier & _names(record):
            update_manifest(bundle, bundle.manifest.model_copy(update={"conversions": kept}))
    changed = update_manifest(bundle, bundle.manifest.model_copy(update={"conversions": (*kept, record)}))
    for name in earlier - _names(record):
        (bundle.path / name).unlink(missing_ok=True)
    return changed


def _names(record: ConversionRecord) -> set[str]:
    return {part.file for part in record.files}


def update_manifest(bundle: Bundle, manifest: Manifest) -> Bundle:
    """Replace the manifest of a bundle whose files stay as they are."""
    return _write_manifest(bundle.path, manifest)


def _check_source(file: Path, expected: str) -> None:
    if not file.is_file():
        raise BundleError(f"{file} is missing; name the file that goes into the bundle")
    if sha256_of(file) != expected:
        raise BundleError(f"{file} is not the file that its record was written for (its SHA-256 differs)")


@contextmanager
def _copied(source: Path, destination: Path) -> Iterator[None]:
    # The copy gets its name when the block ends.
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(destination) as unfinished:
            shutil.copyfile(source, unfinished)
            yield
    except OSError as error:
        raise OutputError(f"{destination} cannot be written ({error.strerror}); free the disk or the folder") from error


def _write_manifest(path: Path, manifest: Manifest) -> Bundle:
    try:
        with whole_file(path / MANIFEST) as unfinished:
            unfinished.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{path / MANIFEST} cannot be written ({error.strerror}); free the disk or the folder"
        ) from error
    return Bundle(path, manifest)
