from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from unetplus_edge.errors import CameraError
from unetplus_runtime.cameras.folder_scan import FileState, FolderScan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def scan(tmp_path: Path, clock: Any) -> FolderScan:
    return FolderScan(tmp_path, str(tmp_path / "aside"), settle=2.0, done={}, clock=clock)


def names(scan: FolderScan) -> list[str]:
    files, unlisted = scan.look()
    assert unlisted == []
    return [file.path.name for file in files]


def test_a_file_written_in_place_has_to_rest(tmp_path: Path, scan: FolderScan, clock: Any) -> None:
    (tmp_path / "a.png").write_bytes(b"half")
    assert names(scan) == []
    clock.now += 1.9
    assert names(scan) == []
    clock.now += 0.2
    assert names(scan) == ["a.png"]


def test_a_file_that_grows_has_to_rest_anew(tmp_path: Path, scan: FolderScan, clock: Any) -> None:
    path = tmp_path / "a.png"
    for length in range(1, 6):
        path.write_bytes(b"x" * length)
        assert names(scan) == []
        clock.now += 1.5
    clock.now += 1.0
    assert names(scan) == ["a.png"]


def test_a_file_that_was_renamed_is_complete_at_once(
    tmp_path: Path, scan: FolderScan, wait: Callable[..., None]
) -> None:
    part, probe = tmp_path / ".a.part", tmp_path / ".probe"
    part.write_bytes(b"whole")

    def the_clock_of_the_disk_goes_on() -> bool:
        probe.write_bytes(b"")
        return probe.stat().st_mtime_ns > part.stat().st_mtime_ns

    wait(the_clock_of_the_disk_goes_on)
    part.replace(tmp_path / "a.png")
    assert names(scan) == ["a.png"]


def test_a_rename_that_was_told_needs_no_clock(tmp_path: Path, scan: FolderScan) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"whole")
    scan.renamed(str(path))
    assert names(scan) == ["a.png"]


def test_files_come_in_the_order_of_their_times_then_of_their_names(
    tmp_path: Path, scan: FolderScan, put_image: Callable[..., Path]
) -> None:
    for name, age in (("t10.png", 1), ("t9.png", 2), ("b/x.png", 2), ("t1.png", 30)):
        put_image(tmp_path / name, age=age)
    assert [path.relative_to(tmp_path).as_posix() for path in (file.path for file in scan.look()[0])] == [
        "t1.png",
        "b/x.png",
        "t9.png",
        "t10.png",
    ]


def test_hidden_files_other_files_and_the_excluded_folder_are_passed_by(
    tmp_path: Path, scan: FolderScan, put_image: Callable[..., Path]
) -> None:
    for name in (".a.png", ".hidden/a.png", "aside/a.png", "a.txt", "a.PNG", "deep/er/a.tif"):
        put_image(tmp_path / "new" / name if name == "deep/er/a.tif" else tmp_path / name)
    os.mkfifo(tmp_path / "pipe.png")
    assert sorted(names(scan)) == ["a.PNG", "a.tif"]


def test_a_finished_file_comes_back_only_when_it_changes(
    tmp_path: Path, scan: FolderScan, put_image: Callable[..., Path]
) -> None:
    put_image(tmp_path / "a.png", age=9)
    (file,), _ = scan.look()
    scan.finish(file)
    assert names(scan) == []
    put_image(tmp_path / "a.png", age=8)
    assert names(scan) == ["a.png"]


def test_a_file_that_was_done_before_does_not_come(tmp_path: Path, clock: Any, put_image: Callable[..., Path]) -> None:
    done = put_image(tmp_path / "a.png")
    put_image(tmp_path / "b.png")
    status = done.stat()
    state = FileState(status.st_size, status.st_mtime_ns)
    assert names(FolderScan(tmp_path, "", 2.0, {str(done): state}, clock)) == ["b.png"]


def test_a_postponed_file_comes_back_later(
    tmp_path: Path, scan: FolderScan, clock: Any, put_image: Callable[..., Path]
) -> None:
    put_image(tmp_path / "a.png")
    (file,), _ = scan.look()
    scan.postpone(file)
    assert names(scan) == []
    clock.now += 2.1
    assert names(scan) == ["a.png"]


def test_a_file_that_is_gone_and_back_with_its_old_times_comes_again(
    tmp_path: Path, scan: FolderScan, put_image: Callable[..., Path]
) -> None:
    path = put_image(tmp_path / "a.png")
    (file,), _ = scan.look()
    scan.finish(file)
    content = path.read_bytes()
    path.unlink()
    assert names(scan) == []
    path.write_bytes(content)
    os.utime(path, ns=(file.state.mtime_ns,) * 2)
    assert names(scan) == ["a.png"]


def test_thousands_of_files_come_once(tmp_path: Path, scan: FolderScan) -> None:
    for number in range(2000):
        path = tmp_path / f"{number:05}.png"
        path.touch()
        os.utime(path, ns=(number, number))
    files, _ = scan.look()
    assert [int(file.path.stem) for file in files] == list(range(2000))
    for file in files:
        scan.finish(file)
    assert names(scan) == []


def test_a_folder_in_place_of_the_watched_one_is_an_error(
    tmp_path: Path, clock: Any, put_image: Callable[..., Path]
) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    put_image(watched / "a.png")
    scan = FolderScan(watched, "", 2.0, {}, clock)
    watched.rename(tmp_path / "unmounted")
    with pytest.raises(CameraError, match="cannot be watched"):
        scan.look()
    watched.mkdir()
    with pytest.raises(CameraError, match="another folder"):
        scan.look()


def test_a_folder_that_cannot_be_listed_makes_nothing_forgotten(
    tmp_path: Path, scan: FolderScan, put_image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_image(tmp_path / "locked" / "a.png")
    (file,), _ = scan.look()
    scan.finish(file)
    scandir: Callable[[str], object] = os.scandir

    def refuse(folder: str) -> object:
        if folder.endswith("locked"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        files, (sentence,) = scan.look()
    assert files == []
    assert sentence == f"{tmp_path}/locked cannot be listed (Permission denied); check its permissions"
    assert names(scan) == []
