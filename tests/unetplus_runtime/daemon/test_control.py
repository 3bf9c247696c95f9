from __future__ import annotations

import json
import socket
import stat
from typing import TYPE_CHECKING, Any

import pytest

from unetplus_edge.errors import BundleError, NotRunningError, UnetPlusError
from unetplus_runtime.daemon.control import SOCKET, ControlSocket, ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def _echo(question: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"heard": question["say"]}


def _refuse(_question: Mapping[str, Any]) -> Mapping[str, Any]:
    raise BundleError("the bundle is damaged; copy it again")


def _break(_question: Mapping[str, Any]) -> Mapping[str, Any]:
    raise ZeroDivisionError("by nought")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose socket has a longer path than sockets may have."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    with ControlSocket(folder, {"echo": _echo, "refuse": _refuse, "break": _break}):
        yield folder


def _raw(folder: Path, text: bytes, *, hang_up: bool = True) -> bytes:
    """Return what is answered to bytes that are no question."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        (folder.parent / "s").unlink(missing_ok=True)
        (folder.parent / "s").symlink_to(folder)
        connection.connect(str(folder.parent / "s" / SOCKET))
        connection.sendall(text)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").readline()


def test_a_question_is_answered(folder: Path) -> None:
    assert ask(folder, {"do": "echo", "say": "ä\n"}) == {"heard": "ä\n"}


def test_a_refusal_keeps_sentence_and_exit_code(folder: Path) -> None:
    with pytest.raises(UnetPlusError, match=r"^the bundle is damaged; copy it again$") as caught:
        ask(folder, {"do": "refuse"})
    assert caught.value.exit_code == BundleError.exit_code


def test_a_mistake_of_ours_is_told_and_the_next_question_answered(folder: Path) -> None:
    with pytest.raises(UnetPlusError, match="ZeroDivisionError: by nought"):
        ask(folder, {"do": "break"})
    assert ask(folder, {"do": "echo", "say": 1}) == {"heard": 1}


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (b"{no json\n", "no JSON"),
        (b"\xff\xfe\n", "no JSON"),
        (b"[1]\n", "no JSON object"),
        (b'{"do": "fly"}\n', "none of echo, refuse, break"),
        (b'{"do": "echo"', "no line"),
        (b" " * 70_000 + b"\n", "longer than 65,536 bytes"),
    ],
)
def test_what_is_no_question_is_refused(folder: Path, question: bytes, said: str) -> None:
    answer = json.loads(_raw(folder, question))
    assert answer["ok"] is False
    assert said in answer["error"]


def test_a_caller_who_says_nothing_holds_up_nobody(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        (folder.parent / "s").symlink_to(folder)
        silent.connect(str(folder.parent / "s" / SOCKET))
        assert ask(folder, {"do": "echo", "say": 1}) == {"heard": 1}


def test_only_its_owner_may_ask(folder: Path) -> None:
    assert stat.S_IMODE((folder / SOCKET).stat().st_mode) == 0o600


def test_nobody_answers_where_no_daemon_is(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match=r"no daemon runs on .*; start one"):
        ask(tmp_path, {"do": "status"})
    with pytest.raises(NotRunningError):
        ask(tmp_path / "nothing", {"do": "status"})


def test_the_socket_of_a_daemon_that_was_killed_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        (tmp_path / "x").symlink_to(tmp_path)
        dead.bind(str(tmp_path / "x" / SOCKET))
    with pytest.raises(NotRunningError):
        ask(tmp_path, {"do": "status"})
    with ControlSocket(tmp_path, {"echo": _echo}):
        assert ask(tmp_path, {"do": "echo", "say": 1}) == {"heard": 1}
    assert not (tmp_path / SOCKET).exists()


def test_a_daemon_that_does_not_answer_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to(tmp_path)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "x" / SOCKET))
        deaf.listen()
        with pytest.raises(NotRunningError, match=r"has not answered within 0\.05 s"):
            ask(tmp_path, {"do": "status"}, timeout=0.05)
