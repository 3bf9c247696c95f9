"""Signals, heard at once whatever the main thread does: SIGTERM and SIGINT to end, SIGHUP to reload."""

from __future__ import annotations

import os
import signal
import socket
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

_STOPS = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Calls what is to be called when signals come. It is a context manager, of the main thread.

    Python calls handlers between two of its own steps in the main thread, which may be busy in a
    library for long. The numbers are read by a thread instead, from a socket that Python writes to
    the moment a signal comes.

    Parameters
    ----------
    on_stop
        Called with the name of the first SIGTERM or SIGINT. The second one ends the process at
        once, with 128 and its number as exit code; after the context, none does any more.
    on_reload
        Called for each SIGHUP, one after another.
    """

    def __init__(self, on_stop: Callable[[str], None], on_reload: Callable[[], None]) -> None:
        self._on_stop, self._on_reload = on_stop, on_reload
        self._stopped = False

    def __enter__(self) -> Self:
        self._here, self._there = socket.socketpair()
        self._there.setblocking(False)
        self._before_fd = signal.set_wakeup_fd(self._there.fileno(), warn_on_full_buffer=False)
        # A handler in Python has to be there, or the signal has its usual effect.
        self._before = {name: signal.signal(name, _nothing) for name in (*_STOPS, signal.SIGHUP)}
        self._thread = Thread(target=self._listen, name="signals", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for name, handler in self._before.items():
            # A process that was told to end, and has done so, is not to be killed on its last steps.
            signal.signal(name, signal.SIG_IGN if self._stopped else handler)
        signal.set_wakeup_fd(self._before_fd)
        self._there.close()
        self._thread.join()
        self._here.close()

    def _listen(self) -> None:
        while numbers := self._here.recv(64):
            for number in numbers:
                self._heard(number)

    def _heard(self, number: int) -> None:
        if number == signal.SIGHUP:
            Thread(target=self._on_reload, name="reload", daemon=True).start()
        elif number in _STOPS:
            if self._stopped:
                os._exit(128 + number)
            self._stopped = True
            self._on_stop(signal.Signals(number).name)


def _nothing(_number: int, _frame: object) -> None:
    pass
