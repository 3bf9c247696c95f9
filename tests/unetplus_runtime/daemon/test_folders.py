from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from unetplus_edge.errors import ConfigurationError
from unetplus_runtime.configuration import ServeSettings
from unetplus_runtime.daemon.folders import check_folders

if TYPE_CHECKING:
    from pathlib import Path


def _settings(data_dir: Path, images: Path) -> ServeSettings:
    return ServeSettings.model_validate({"data_dir": data_dir, "camera": {"camera": "folder", "path": images}})


@pytest.mark.parametrize(
    ("data_dir", "images", "field"),
    [("a/b/c", "a", "data_dir"), ("a", "a", "data_dir"), ("a", "a/b/c", "camera.path"), ("link/b", "a", "data_dir")],
)
def test_folders_in_one_another_are_refused(tmp_path: Path, data_dir: str, images: str, field: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    with pytest.raises(ConfigurationError, match=f"^{field}: "):
        check_folders(_settings(tmp_path / data_dir, tmp_path / images))


@pytest.mark.parametrize(("data_dir", "images"), [("a", "b"), ("a/b", "a/c"), ("ab", "a")])
def test_folders_side_by_side_are_fine(tmp_path: Path, data_dir: str, images: str) -> None:
    check_folders(_settings(tmp_path / data_dir, tmp_path / images))
