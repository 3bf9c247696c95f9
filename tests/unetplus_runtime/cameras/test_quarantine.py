from __future__ import annotations

from pathlib import Path

import pytest

from unetplus_runtime.cameras.quarantine import put_aside


def test_a_file_goes_with_its_folder_and_its_reason(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"broken")
    aside = put_aside(tmp_path / "a.png", tmp_path / "aside", Path("day 1/a.png"), "a.png is cut off")
    assert aside == tmp_path / "aside/day 1/a.png"
    assert aside.read_bytes() == b"broken"
    assert (aside.parent / "a.png.reason.txt").read_text() == "a.png is cut off\n"
    assert not (tmp_path / "a.png").exists()


def test_what_lies_there_is_not_replaced(tmp_path: Path) -> None:
    for content in (b"first", b"second", b"third"):
        (tmp_path / "a.png").write_bytes(content)
        put_aside(tmp_path / "a.png", tmp_path / "aside", Path("a.png"), content.decode())
    for name, content in (("a.png", "first"), ("a-2.png", "second"), ("a-3.png", "third")):
        assert (tmp_path / "aside" / name).read_text() == content
        assert (tmp_path / "aside" / f"{name}.reason.txt").read_text() == f"{content}\n"


def test_a_file_that_cannot_be_moved_stays(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"broken")
    (tmp_path / "aside").touch()
    with pytest.raises(OSError, match="aside"):
        put_aside(tmp_path / "a.png", tmp_path / "aside", Path("a.png"), "no")
    assert (tmp_path / "a.png").read_bytes() == b"broken"
