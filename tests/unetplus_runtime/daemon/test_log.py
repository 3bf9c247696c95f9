from __future__ import annotations

import json
import logging
import sys

import pytest

from unetplus_runtime.configuration import Logging
from unetplus_runtime.daemon.log import Lines, Log, fields


def _record(message: str, level: int = logging.INFO, **values: object) -> logging.LogRecord:
    record = logging.LogRecord("unetplus_runtime.x", level, __file__, 1, message, None, None)
    record.__dict__ |= fields(**values)
    return record


def test_a_line_of_json_has_message_and_fields() -> None:
    line = json.loads(Lines(json_lines=True, simulated=True).format(_record("camera\nonline", life=3, why='a "b"')))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "message": "camera\nonline",
        "logger": "unetplus_runtime.x",
        "simulated": True,
        "life": 3,
        "why": 'a "b"',
    }


def test_a_line_of_words_has_pairs_that_can_be_told_apart() -> None:
    line = Lines(json_lines=False, simulated=False).format(_record("started", life=3, why='x = "y z"', at=0.25, no=""))
    assert line.partition(" ")[2] == r'info    started life=3 why="x = \"y z\"" at=0.25 no=""'


def test_a_message_of_words_is_one_line() -> None:
    line = Lines(json_lines=False, simulated=False).format(_record("a\nb", path="c\nd", why="e\nf g"))
    assert "\n" not in line


@pytest.mark.parametrize("json_lines", [False, True])
@pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR])
def test_simulated_frames_are_named_in_every_line(json_lines: bool, level: int) -> None:
    line = Lines(json_lines=json_lines, simulated=True).format(_record("frame", level))
    assert ('"simulated": true' if json_lines else " SIMULATED frame") in line


def test_a_traceback_is_a_field() -> None:
    record = _record("failed")
    try:
        raise ValueError("no such thing")
    except ValueError:
        record.exc_info = sys.exc_info()
    line = Lines(json_lines=True, simulated=False).format(record)
    assert "ValueError: no such thing" in json.loads(line)["traceback"]
    assert "\n" not in line


def test_the_level_can_be_changed_while_it_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("unetplus_runtime.test_log")
    log = Log(Logging(level="warning"), simulated=False)
    with log.installed():
        logger.info("first")
        log.apply(Logging(level="info", json_lines=True))
        logger.info("second")
    logger.error("third")
    said = capsys.readouterr().err
    assert [word for word in ("first", "second", "third") if word in said] == ["second"]
    assert json.loads(said)["message"] == "second"


def test_levels_are_as_before_afterwards() -> None:
    logger = logging.getLogger("unetplus_runtime")
    before = logger.level
    with Log(Logging(level="error"), simulated=False).installed():
        pass
    assert logger.level == before
