"""Bundles by name or by path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from unetplus_edge.architectures import UNet, architecture_from_name
from unetplus_edge.bundle import create_bundle
from unetplus_edge.errors import BundleError
from unetplus_edge.files import sha256_of
from unetplus_edge.manifest import Manifest, TensorRecord
from unetplus_edge.training.recipe import Recipe
from unetplus_edge.zoo import DEFAULT, find_bundle, zoo_names

if TYPE_CHECKING:
    from pathlib import Path


def _make(folder: Path) -> None:
    model = folder.parent / "trained.keras"
    model.write_bytes(b"weights")
    tensor = TensorRecord(name="image", shape=(None, 256, 256, 1))
    create_bundle(
        folder,
        model,
        Manifest(
            name="mine",
            recipe=Recipe(architecture=UNet()),
            input=tensor,
            output=tensor,
            keras_sha256=sha256_of(model),
            epochs_trained=1,
            best_epoch=1,
        ),
    )


def test_every_bundle_of_the_zoo_opens_and_is_the_network_of_its_name() -> None:
    for name in zoo_names():
        manifest = find_bundle(name).manifest
        assert manifest.name == name
        assert manifest.recipe.architecture == architecture_from_name(name)


def test_the_default_is_in_the_zoo() -> None:
    assert DEFAULT in zoo_names()
    assert find_bundle() == find_bundle(DEFAULT)


def test_a_folder_is_found_by_its_path(tmp_path: Path) -> None:
    _make(tmp_path / "mine")
    assert find_bundle(tmp_path / "mine").manifest.name == "mine"
    assert find_bundle(str(tmp_path / "mine")).path == tmp_path / "mine"


def test_a_folder_wins_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(tmp_path / DEFAULT)
    monkeypatch.chdir(tmp_path)
    assert find_bundle(DEFAULT).manifest.name == "mine"


def test_neither_is_an_error_that_names_the_zoo() -> None:
    with pytest.raises(BundleError, match=rf"nowhere is neither a folder nor one of.*{DEFAULT}"):
        find_bundle("nowhere")


def test_a_folder_that_is_no_bundle_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model bundle"):
        find_bundle(tmp_path)
