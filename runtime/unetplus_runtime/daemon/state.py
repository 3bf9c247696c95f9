"""The one object that knows what the daemon does: whoever shows it needs nothing else."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass, replace
from threading import Condition
from typing import TYPE_CHECKING, Any

from unetplus_edge import __version__
from unetplus_runtime.daemon.facts import Trouble
from unetplus_runtime.daemon.snapshot import DaemonSnapshot

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from unetplus_edge.imaging.frames import Frame as Pixels
    from unetplus_runtime.daemon.facts import ConfigurationFacts
    from unetplus_runtime.daemon.snapshot import Phase

_REMEMBERED = 20  # troubles


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame that was committed lately, and what was found in it; nobody changes its arrays.

    Attributes
    ----------
    id
        Of its record.
    captured
        When the host got it, seconds since 1970 (UTC).
    simulated
        Whether it is made up.
    array
        The frame: uint8, uint16 or float32, shape (height, width).
    labels
        Label image, int32, same shape.
    """

    id: int
    captured: float
    simulated: bool
    array: Pixels
    labels: NDArray[np.int32]


class DaemonState:
    """What is known of the daemon. Any thread may call any method; reading never holds up the daemon.

    Parameters
    ----------
    data_dir
        Folder of the results.
    simulated
        Whether the frames are made up.
    configuration
        The settings.

    Examples
    --------
    >>> from pathlib import Path
    >>> from unetplus_runtime.daemon.facts import ConfigurationFacts
    >>> state = DaemonState(Path("results"), simulated=True, configuration=ConfigurationFacts("", None, True))
    >>> seen = state.snapshot
    >>> state.enter("warming")
    >>> state.wait(seen.version, timeout=0).phase
    'warming'
    """

    def __init__(self, data_dir: Path, *, simulated: bool, configuration: ConfigurationFacts) -> None:
        self._changed = Condition()
        self._picture: Picture | None = None
        self._snapshot = DaemonSnapshot(
            version=0,
            run=str(uuid.uuid4()),
            pid=os.getpid(),
            program=__version__,
            data_dir=str(data_dir),
            started=time.time(),
            started_monotonic=time.monotonic(),
            simulated=simulated,
            configuration=configuration,
            phase_since=time.time(),
        )

    @property
    def snapshot(self) -> DaemonSnapshot:
        """What is known now."""
        return self._snapshot

    @property
    def picture(self) -> Picture | None:
        """The newest picture; None before the first. Not every frame becomes one: one a commit does."""
        return self._picture

    def wait(self, after: int, timeout: float) -> DaemonSnapshot:
        """Wait until there is a newer version than `after`, or for `timeout` seconds; return what is known then."""
        with self._changed:
            self._changed.wait_for(lambda: self._snapshot.version > after, timeout)
            return self._snapshot

    def update(self, **changes: Any) -> None:
        """Change fields of the snapshot; what is the same already makes no new version."""
        with self._changed:
            new = replace(self._snapshot, **changes)
            if new != self._snapshot:
                self._publish(new)

    def beat(self) -> None:
        """Take note that the loop goes on; that makes no new version."""
        with self._changed:
            self._snapshot = replace(self._snapshot, beat=time.monotonic())

    def enter(self, phase: Phase, reason: str = "") -> None:
        """Take note of what the daemon does from now on."""
        with self._changed:
            old = self._snapshot
            if (old.phase, old.reason) != (phase, reason):
                since = old.phase_since if phase == old.phase else time.time()
                self._publish(replace(old, phase=phase, reason=reason, phase_since=since, beat=time.monotonic()))

    def trouble(self, kind: str, what: str) -> None:
        """Take note of something that went wrong."""
        with self._changed:
            troubles = (*self._snapshot.troubles, Trouble(time.time(), kind, what))[-_REMEMBERED:]
            self._publish(replace(self._snapshot, troubles=troubles))

    def show(self, picture: Picture) -> None:
        """Put a picture in the place of the one before."""
        self._picture = picture

    def _publish(self, new: DaemonSnapshot) -> None:
        self._snapshot = replace(new, version=new.version + 1)
        self._changed.notify_all()
