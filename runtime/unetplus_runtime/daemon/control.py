"""Asking a running daemon: a socket in its data folder; one line of JSON in, one line of JSON out."""

from __future__ import annotations

import json
import logging
import os
import socket
import socketserver
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore, Thread
from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import InputError, NotRunningError, UnetPlusError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import Self

    Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]

SOCKET = "control.sock"

_log = logging.getLogger(__name__)

_LONGEST = 1 << 16  # bytes of a question
_PATIENCE = 5.0  # seconds that a question may take to be typed, or an answer to be read
_CALLERS = 16  # at a time


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: str, handlers: Mapping[str, Handler]) -> None:
        self.handlers = handlers
        self.seats = BoundedSemaphore(_CALLERS)
        super().__init__(address, _Caller)

    def handle_error(self, request: object, client_address: object) -> None:
        _log.debug("a caller has hung up", exc_info=True)


class _Caller(socketserver.StreamRequestHandler):
    timeout = _PATIENCE
    server: _Server

    def handle(self) -> None:
        if not self.server.seats.acquire(blocking=False):
            self._answer(_refusal(InputError(f"more than {_CALLERS} ask at a time; ask again later")))
            return
        try:
            self._answer(self._ask(self.rfile.readline(_LONGEST + 1)))
        finally:
            self.server.seats.release()

    def _ask(self, line: bytes) -> Mapping[str, Any]:
        try:
            question = _question(line)
            handler = self.server.handlers.get(str(question.get("do")))
            if handler is None:
                raise InputError(f"do is none of {', '.join(self.server.handlers)}; ask for one of them")
            return {"ok": True, **handler(question)}
        except UnetPlusError as error:
            return _refusal(error)
        except Exception as error:  # a mistake of ours is the caller's to know, and no reason to end
            _log.exception("a question could not be answered")
            return _refusal(UnetPlusError(f"the daemon could not answer ({type(error).__name__}: {error})"))

    def _answer(self, answer: Mapping[str, Any]) -> None:
        self.wfile.write(json.dumps(answer, default=str).encode() + b"\n")


def _question(line: bytes) -> Mapping[str, Any]:
    if not line.endswith(b"\n"):
        raise InputError(f"the question is no line, or longer than {_LONGEST:,} bytes; write one line of JSON")
    try:
        question = json.loads(line)
    except ValueError as error:
        raise InputError(f"the question is no JSON ({error}); write one object on one line") from error
    if not isinstance(question, dict):
        raise InputError("the question is no JSON object; write one object on one line")
    return question


def _refusal(error: UnetPlusError) -> dict[str, Any]:
    return {"ok": False, "error": str(error), "exit_code": error.exit_code}


class ControlSocket:
    """Answers questions until it is closed. It is a context manager: leaving it closes it.

    Parameters
    ----------
    data_dir
        Where the socket is; whoever makes it holds the lock of the folder.
    handlers
        What can be asked, by the value of "do" in a question: each gets the question, and returns
        the answer in types that JSON has. Threads of their own call them; a `UnetPlusError` is
        answered by its sentence and its exit code.
    """

    def __init__(self, data_dir: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = data_dir / SOCKET
        self._path.unlink(missing_ok=True)  # of a daemon that was killed
        with _short(data_dir) as folder:
            self._server = _Server(f"{folder}/{SOCKET}", handlers)
        self._path.chmod(0o600)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
        self._thread.name = "control"
        self._thread.start()

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ask(data_dir: Path, question: Mapping[str, Any], timeout: float = 10.0) -> dict[str, Any]:
    """Ask the daemon of a data folder; return its answer.

    Parameters
    ----------
    data_dir
        The folder.
    question
        {"do": "status"}, {"do": "wait", "after": VERSION, "timeout": SECONDS} or
        {"do": "reload-model", "bundle": NAME}.
    timeout
        How long to wait for the answer, seconds.

    Raises
    ------
    NotRunningError
        If there is no daemon, or it does not answer in time.
    UnetPlusError
        If the daemon refuses; with its sentence and its exit code.
    """
    try:
        with _short(data_dir) as folder, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(f"{folder}/{SOCKET}")
            connection.sendall(json.dumps(question).encode() + b"\n")
            with connection.makefile("rb") as file:
                line = file.readline()
    except TimeoutError as error:
        raise NotRunningError(
            f"the daemon of {data_dir} has not answered within {timeout:g} s; see what it says on stderr"
        ) from error
    except PermissionError as error:
        raise NotRunningError(f"{data_dir} belongs to another user; ask as the user who runs the daemon") from error
    except OSError as error:
        raise NotRunningError(
            f"no daemon runs on {data_dir}; start one: unetplus-runtime serve --data-dir {data_dir}"
        ) from error
    if not line.endswith(b"\n"):
        raise NotRunningError(f"the daemon of {data_dir} has ended before it answered; start it again")
    answer: dict[str, Any] = json.loads(line)
    if not answer.pop("ok"):
        refusal = UnetPlusError(answer["error"])
        refusal.exit_code = answer["exit_code"]
        raise refusal
    return answer


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Lend a short name of a folder: the path of a socket must not be longer than 107 bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        with suppress(OSError):
            os.close(descriptor)
