"""Files appear whole or not at all."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from unetplus_edge.files import sha256_of, whole_file, whole_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "counts.csv"
    with whole_file(target) as unfinished:
        unfinished.write_text("7")
        assert not target.exists()
    assert target.read_text() == "7"
    assert list(tmp_path.iterdir()) == [target]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "counts.csv"
    target.write_text("old")
    with whole_file(target) as unfinished:
        unfinished.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "counts.csv"
    target.write_text("old")

    def interrupted() -> None:
        with whole_file(target) as unfinished:
            unfinished.write_text("ne")
            raise error

    with pytest.raises(error):
        interrupted()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_kill_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "counts.csv"
    target.write_text("old")
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from unetplus_edge.files import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as unfinished:\n"
        "    unfinished.write_text('ne')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(target)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert target.read_text() == "old"
    with whole_file(target) as unfinished:
        unfinished.write_text("new")
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "counts.csv"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_the_hash_is_that_of_the_whole_content(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    file = tmp_path / "content"
    file.write_bytes(content)
    assert sha256_of(file) == hashlib.sha256(content).hexdigest()


def test_the_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "labels.zarr"
    with whole_folder(target) as unfinished:
        (unfinished / "0").mkdir()
        (unfinished / "0" / "chunk").write_text("7")
        assert not target.exists()
    assert (target / "0" / "chunk").read_text() == "7"
    assert list(tmp_path.iterdir()) == [target]


def _break_off(target: Path, error: type[BaseException]) -> None:
    with whole_folder(target) as unfinished:
        (unfinished / "chunk").write_text("new")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_folder_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "labels.zarr"
    target.mkdir()
    (target / "chunk").write_text("old")
    with pytest.raises(error):
        _break_off(target, error)
    assert (target / "chunk").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_new_folder_replaces_the_old_one_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "labels.zarr"
    for name in ("old", "new"):
        with whole_folder(target) as unfinished:
            (unfinished / name).write_text("")
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_process_left_of_a_folder_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".unfinished-labels.zarr").mkdir()
    (tmp_path / ".unfinished-labels.zarr" / "half").write_text("")
    with whole_folder(tmp_path / "labels.zarr") as unfinished:
        (unfinished / "chunk").write_text("")
    assert [path.name for path in (tmp_path / "labels.zarr").iterdir()] == ["chunk"]
