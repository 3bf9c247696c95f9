from __future__ import annotations

from typing import TYPE_CHECKING

from unetplus_runtime.progress import progress_bar

if TYPE_CHECKING:
    import pytest


def test_nothing_is_shown_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("segmenting", 3) as done:
        for _ in range(3):
            done()
    assert capsys.readouterr() == ("", "")
