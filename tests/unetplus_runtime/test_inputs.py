from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from unetplus_edge.errors import InputError
from unetplus_runtime.inputs import ImageFile, find_images, frames_of, require_unlike

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def touch(tmp_path: Path) -> Callable[..., None]:
    def make(*names: str) -> None:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()

    return make


def ids(files: list[ImageFile]) -> list[str]:
    return [file.id for file in files]


def test_a_folder_stands_for_its_images_in_order(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("b.png", "a.tif", "c.TIFF", "notes.txt", "day 2/b.png", "day 10/deep/x.png", ".hidden.png", ".cache/d.png")
    files = find_images([tmp_path])
    assert ids(files) == ["a", "b", "c", "day 10/deep/x", "day 2/b"]
    assert [file.path.relative_to(tmp_path).as_posix() for file in files][:3] == ["a.tif", "b.png", "c.TIFF"]


def test_a_file_stands_for_itself(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("in/b.png", "in/a.png")
    assert ids(find_images([tmp_path / "in/b.png", tmp_path / "in/a.png"])) == ["b", "a"]


def test_a_file_that_is_met_twice_is_read_once(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("in/a.png", "in/b.png")
    (tmp_path / "in/z.png").symlink_to(tmp_path / "in/a.png")
    assert ids(find_images([tmp_path / "in/a.png", tmp_path / "in", tmp_path / "in/../in/b.png"])) == ["a", "b"]


def test_equal_names_in_two_folders_keep_their_folder(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("x/day1/a.png", "x/day2/a.png", "x/b.png")
    assert ids(find_images([tmp_path / "x/day1/a.png", tmp_path / "x/day2/a.png", tmp_path / "x/b.png"])) == [
        "day1/a",
        "day2/a",
        "b",
    ]
    assert ids(find_images([tmp_path / "x/day1", tmp_path / "x/day2"])) == ["day1/a", "day2/a"]
    assert ids(find_images([tmp_path / "x"])) == ["b", "day1/a", "day2/a"]


def test_equal_names_of_two_formats_keep_their_suffix(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("a.png", "a.tif", "b.png")
    assert ids(find_images([tmp_path])) == ["a.png", "a.tif", "b"]
    touch("x/a.png")
    assert sorted(ids(find_images([tmp_path / "a.png", tmp_path / "a.tif", tmp_path / "x/a.png"]))) == [
        f"{tmp_path.name}/a.png",
        f"{tmp_path.name}/a.tif",
        "x/a.png",
    ]


def test_names_that_differ_by_case_alone_are_told_apart(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("x/A.png", "y/a.png")
    assert ids(find_images([tmp_path / "x/A.png", tmp_path / "y/a.png"])) == ["x/A", "y/a"]
    touch("z/a.png", "z/a.PNG")
    with pytest.raises(InputError, match="2 images would all be called"):
        find_images([tmp_path / "z"])


def test_the_folder_of_the_results_is_passed_by(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("a.png", "out/a_overlay.png", "out/more/a_labels.tif")
    assert ids(find_images([tmp_path], excluded=tmp_path / "out")) == ["a"]


def test_what_is_no_image_is_refused(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("a.jpg", "empty/notes.txt")
    with pytest.raises(InputError, match=r"b\.png does not exist"):
        find_images([tmp_path / "b.png"])
    with pytest.raises(InputError, match=r"a\.jpg is no PNG or TIFF file"):
        find_images([tmp_path / "a.jpg"])
    with pytest.raises(InputError, match="empty holds no image"):
        find_images([tmp_path / "empty"])


def test_frames_of_one_page_have_the_id_of_their_file(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 20), np.uint8))
    assert [source.id for source in frames_of(ImageFile(tmp_path / "a.tif", "day/a"))] == ["day/a"]


def test_pages_are_numbered_so_that_they_sort(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((11, 20, 20), np.uint8), photometric="minisblack")
    sources = frames_of(ImageFile(tmp_path / "a.tif", "a"))
    assert [source.id for source in sources][:2] == ["a_page01", "a_page02"]
    assert sources[-1].id == "a_page11"
    assert [source.page for source in sources] == list(range(11))


def test_pages_that_would_be_called_as_another_file_are_refused() -> None:
    require_unlike(["a_page1", "a_page2", "b"])
    with pytest.raises(InputError, match="2 images would all be called a_page1"):
        require_unlike(["a_page1", "a_page2", "A_page1"])
