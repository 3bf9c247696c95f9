"""Drivers' processes that are not what they should be, each a real process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Impostor = Callable[[str], None]

_COUNTS = '"counts": [1, {}]'
_FACTS = '{"camera": "simulated", "source": "x", "lossless": true}'
_FRAME = (
    '{"is": "frame", "ring": 1, "slot": 0, "shape": [2, 2], "dtype": "uint8", "sequence": 0, "device_time": null, '
    '"monotonic": 0, "wall": 0, "metadata": {}, "file": null, ' + _COUNTS + "}"
)


@pytest.fixture
def impostor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Impostor:
    """Puts a program in the place of the driver's; in it, `say` sends a message and `hear` gets one."""

    def install(code: str) -> None:
        script = tmp_path / "impostor"
        script.write_text(
            f"#!{sys.executable}\n"
            "import os, socket, sys, time\n"
            "link = socket.socket(fileno=int(sys.argv[4]))\n"
            "say = lambda text: link.send(text.encode())\n"
            "hear = lambda: link.recv(60000)\n"
            f"{code}\n"
        )
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))

    return install


def reason(camera: Any, wait: Callable[..., None]) -> str:
    wait(lambda: camera.status().restarts >= 1)
    return str(next(change.reason for change in camera.changes() if change.state == "offline" and change.number))


@pytest.mark.parametrize(
    "said",
    [
        f'{{"is": "open", "facts": {_FACTS}}}\', \'{_FRAME}',  # a frame without memory for it
        '{"is": "alive"}',
        '{"is": "alive", "counts": "many"}',
        '{"is": "open", "facts": {"made": "up"}}',
    ],
)
def test_a_driver_that_talks_nonsense_is_replaced(
    isolate: Callable[..., Any], simulated: Callable[..., Any], impostor: Impostor, wait: Callable[..., None], said: str
) -> None:
    impostor(f"for text in ('{said}',): say(text)\ntime.sleep(600)")
    assert "talks nonsense" in reason(isolate(simulated()), wait)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"slot": 0', '"slot": 9'),
        ('"slot": 0', '"slot": -1'),
        ('"shape": [2, 2]', '"shape": [2000, 2000]'),
        ('"shape": [2, 2]', '"shape": [-2, -2]'),
        ('"shape": [2, 2]', '"shape": [2, 2, 2]'),
        ('"dtype": "uint8"', '"dtype": "object"'),
        ('"ring": 1', '"ring": 7'),
        ('"sequence": 0', '"sequence": -1'),
        ('"metadata": {}', '"more": {}'),
    ],
)
def test_a_frame_that_cannot_be_is_not_touched(
    isolate: Callable[..., Any],
    simulated: Callable[..., Any],
    impostor: Impostor,
    wait: Callable[..., None],
    old: str,
    new: str,
) -> None:
    assert old in _FRAME
    opening = f'{{"is": "open", "facts": {_FACTS}}}'
    need = f'{{"is": "need", "bytes": 4, {_COUNTS}}}'
    impostor(f"say('{opening}'); say('{need}'); hear(); say('{_FRAME.replace(old, new)}'); time.sleep(600)")
    camera = isolate(simulated())
    assert "talks nonsense" in reason(camera, wait)
    assert camera.read(0) is None


def test_frames_that_would_fill_the_memory_are_refused(
    isolate: Callable[..., Any], simulated: Callable[..., Any], impostor: Impostor, wait: Callable[..., None]
) -> None:
    impostor(f'say(\'{{"is": "need", "bytes": 1000000000000, {_COUNTS}}}\'); time.sleep(600)')
    assert "frames of 1,000,000,000,000 bytes are beyond" in reason(isolate(simulated()), wait)


def test_a_driver_that_ends_unasked_is_replaced_and_what_it_printed_is_kept(
    isolate: Callable[..., Any],
    simulated: Callable[..., Any],
    impostor: Impostor,
    wait: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    impostor("print('x\\n' * 100000, 'no such library', flush=True); sys.exit(7)")
    assert reason(isolate(simulated()), wait) == "the driver ended with exit code 7; it is started anew"
    assert "no such library" in caplog.text


def test_a_driver_that_fails_while_it_is_answered_is_heard(
    isolate: Callable[..., Any], simulated: Callable[..., Any], impostor: Impostor, wait: Callable[..., None]
) -> None:
    need, failed = f'{{"is": "need", "bytes": 4, {_COUNTS}}}', f'{{"is": "failed", "reason": "gone", {_COUNTS}}}'
    impostor(f"say('{need}'); say('{failed}')")
    assert reason(isolate(simulated()), wait) == "gone"


def test_a_program_that_cannot_be_started_is_told_of(
    isolate: Callable[..., Any],
    simulated: Callable[..., Any],
    wait: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "the driver could not be started (FileNotFoundError" in reason(isolate(simulated()), wait)
