from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from unetplus_edge.errors import InputError
from unetplus_runtime.inputs import ImageFile, Images, find_images, frames_of, require_unlike

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


def ids(images: Images) -> list[str]:
    assert images.refused == []
    return [file.id for file in images.files]


def test_a_folder_stands_for_its_images_in_order(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("b.png", "a.tif", "c.TIFF", "notes.txt", "day 2/b.png", "day 10/deep/x.png", ".hidden.png", ".cache/d.png")
    files = find_images([tmp_path])
    assert ids(files) == ["a", "b", "c", "day 10/deep/x", "day 2/b"]
    assert [file.path.relative_to(tmp_path).as_posix() for file in files.files][:3] == ["a.tif", "b.png", "c.TIFF"]


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
    touch("a.bmp", "empty/notes.txt")
    with pytest.raises(InputError, match=r"b\.png does not exist"):
        find_images([tmp_path / "b.png"])
    with pytest.raises(InputError, match=r"a\.bmp is no PNG, JPEG, TIFF or OME-Zarr file"):
        find_images([tmp_path / "a.bmp"])
    with pytest.raises(InputError, match="empty holds no image"):
        find_images([tmp_path / "empty"])


def test_a_pattern_stands_for_what_matches_in_order(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("plate2/b.tif", "plate2/a.tif", "plate1/c.tif", "plate1/notes.txt", "plate1/d.png", "other/e.tif")
    images = find_images([tmp_path / "plate*" / "*.tif"])
    assert [file.path.relative_to(tmp_path).as_posix() for file in images.files] == [
        "plate1/c.tif",
        "plate2/a.tif",
        "plate2/b.tif",
    ]
    assert ids(images) == ["c", "a", "b"]
    assert ids(find_images([tmp_path / "plate*"])) == ["c", "d", "a", "b"]
    assert ids(find_images([tmp_path / "**" / "[de].*"])) == ["e", "d"]


def test_a_pattern_that_is_a_file_is_that_file(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("a[1].tif", "a1.tif")
    assert ids(find_images([tmp_path / "a[1].tif"])) == ["a[1]"]


def test_a_pattern_passes_the_results_by(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("a.tif", "out/a_labels.tif", "out/more/b_labels.tif")
    assert ids(find_images([tmp_path / "**" / "*.tif"], excluded=tmp_path / "out")) == ["a"]
    assert ids(find_images([tmp_path / "*"], excluded=tmp_path / "out")) == ["a"]


def test_a_pattern_without_a_match_is_an_error(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("notes.txt")
    for pattern in ("*.tif", "*.txt", "nowhere/*"):
        with pytest.raises(InputError, match="matches no PNG, JPEG, TIFF or OME-Zarr file; check the pattern"):
            find_images([tmp_path / pattern])


def test_links_that_lead_nowhere_or_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("gone.png")
    (tmp_path / "b.png").symlink_to("b.png")
    with pytest.raises(InputError, match=r"a\.png is a link that leads nowhere"):
        find_images([tmp_path / "a.png"])
    with pytest.raises(InputError, match=r"b\.png cannot be read \(Too many levels"):
        find_images([tmp_path / "b.png"])
    assert ids(find_images([tmp_path])) == ["a", "b"]  # reading them says what is wrong


def test_a_path_that_no_system_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        find_images([tmp_path / ("x" * 5000 + ".png")])


def test_folders_that_point_at_each_other_end(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("in/a.png")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    assert ids(find_images([tmp_path / "in"])) == ["a"]


def test_frames_of_one_page_have_the_id_of_their_file(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 20), np.uint8))
    assert [source.id for source in frames_of(ImageFile(tmp_path / "a.tif", "day/a")).sources] == ["day/a"]


def test_pages_are_numbered_so_that_they_sort(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((11, 20, 20), np.uint8), photometric="minisblack")
    sources = frames_of(ImageFile(tmp_path / "a.tif", "a")).sources
    assert [source.id for source in sources][:2] == ["a_page01", "a_page02"]
    assert sources[-1].id == "a_page11"
    assert [source.plane.page for source in sources] == list(range(11))


def test_times_and_heights_are_named(tmp_path: Path) -> None:
    stack = np.zeros((2, 11, 3, 20, 20), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TZCYX"})
    sources = frames_of(ImageFile(tmp_path / "a.tif", "day/a"), channel="2").sources
    assert [source.id for source in sources][:2] == ["day/a_t1_z01", "day/a_t1_z02"]
    assert [source.plane.page for source in sources] == list(range(1, 66, 3))


def test_pages_that_would_be_called_as_another_file_are_refused() -> None:
    require_unlike(["a_page1", "a_page2", "b"])
    with pytest.raises(InputError, match="2 images would all be called a_page1"):
        require_unlike(["a_page1", "a_page2", "A_page1"])
