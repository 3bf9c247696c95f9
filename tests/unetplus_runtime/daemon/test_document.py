from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from unetplus_edge.errors import BundleError, ConfigurationError, EngineError, NotRunningError, OutputError
from unetplus_runtime.configuration.changes import LIVE
from unetplus_runtime.daemon.snapshot import Phase
from unetplus_runtime.daemon.stopping import GRACE

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "daemon.md").read_text(encoding="utf-8")


def _first_column(heading: str) -> list[str]:
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [row.split("|")[1].strip() for row in section.splitlines() if row.startswith("| ")][2:]


def test_the_page_names_every_phase_in_order() -> None:
    assert [cell.strip("`") for cell in _first_column("Phases")] == list(get_args(Phase))


def test_the_page_names_every_event_of_the_daemon() -> None:
    named = {kind for cell in _first_column("Events in the records") for kind in re.findall(r"`([^`]+)`", cell)}
    source = "".join(
        file.read_text(encoding="utf-8")
        for folder in ("daemon", "records")
        for file in (ROOT / "runtime" / "unetplus_runtime" / folder).glob("*.py")
    )
    assert {*re.findall(r'\.event\("([^"]+)"', source)} <= named
    # The records choose among theirs by the state of the disk.
    assert all(f'"{kind}"' in source for kind in named)


def test_the_page_names_the_exit_codes() -> None:
    codes = {int(cell) for cell in _first_column("Exit codes")}
    errors = (BundleError, EngineError, OutputError, ConfigurationError, NotRunningError)
    assert codes == {0, *(error.exit_code for error in errors)}


def test_the_page_names_what_sighup_changes() -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| SIGHUP"))
    assert all(f"`{field}`" in row for field in LIVE if field != "pixel_size")
    assert "Pixel size" in row


def test_the_page_knows_how_long_an_end_takes() -> None:
    assert f"and {GRACE:g} more" in PAGE
