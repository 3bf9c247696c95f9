"""A camera in a process of its own: whatever its driver does, this process goes on.

Frames come through memory without a name, which nobody has to clean up: the system does when the
last of the two processes is gone. The driver's process is killed by the system when this one dies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unetplus_runtime.cameras.isolation.restarts import BackOff
from unetplus_runtime.cameras.isolation.status import CameraState, CameraStatus, Change
from unetplus_runtime.cameras.isolation.supervisor import Supervisor
from unetplus_runtime.cameras.isolation.watch import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

    from unetplus_runtime.cameras.base import FileIdentity, Frame
    from unetplus_runtime.cameras.counts import DropReason, Refusal
    from unetplus_runtime.cameras.settings import CameraSettings

__all__ = ["BackOff", "CameraState", "CameraStatus", "Change", "IsolatedCamera", "Patience"]


class IsolatedCamera:
    """A camera whose driver may crash, hang and disappear.

    Of a live camera the newest frame waits to be taken, and older ones are dropped; of what is
    lossless every frame waits, and the driver with it. Every frame that was taken has to be settled
    by `done` or `drop`, so that captured = processed + dropped + in flight at every moment. Any
    thread may call any method. It is a context manager: entering opens it, leaving closes it.

    Parameters
    ----------
    settings
        Which camera, and how.
    seen
        Returns pages of files that were done before; it is asked before every start of the driver,
        so a page has to be among them as soon as it is settled. Those of files that are gone may
        be left out. None remembers those settled here.
    patience
        How long the driver may be silent.
    back_off
        How long it is waited after it has failed.
    grace
        How long the driver may take to let go of the camera when this is closed, seconds.

    Examples
    --------
    >>> from unetplus_runtime.cameras import SimulatedSettings
    >>> with IsolatedCamera(SimulatedSettings(height=64, width=64, loop=1, rate=None, frames=3)) as camera:
    ...     while not camera.ended:
    ...         frame = camera.read(timeout=60)
    ...         if frame is not None:
    ...             camera.done(frame)
    ...     totals = camera.status().totals
    >>> totals.captured, totals.processed, totals.in_flight
    (3, 3, 0)
    """

    def __init__(
        self,
        settings: CameraSettings,
        *,
        seen: Callable[[], Iterable[FileIdentity]] | None = None,
        patience: Patience | None = None,
        back_off: BackOff | None = None,
        grace: float = 3.0,
    ) -> None:
        self._settled: set[FileIdentity] | None = set() if seen is None else None
        self._supervisor = Supervisor(
            settings, seen or self._remembered, patience or Patience(), back_off or BackOff(), grace
        )
        self._is_closed = False

    def open(self) -> None:
        """Start the driver and return at once; `status` says when the camera is open."""
        self._supervisor.start()

    def read(self, timeout: float) -> Frame | None:
        """Return the next frame; None if there is none within `timeout` seconds, or will be none.

        No error of a driver is raised here: `status` and `changes` tell them. The frame's array is
        the caller's.
        """
        return self._supervisor.handover.take(timeout)

    def done(self, frame: Frame) -> None:
        """Count a frame as processed, once its results are safe.

        Raises
        ------
        InputError
            If it was not taken here, or is settled.
        """
        self._settle(frame, None)

    def drop(self, frame: Frame, reason: DropReason = "failed") -> None:
        """Count a frame as dropped; if it is from a file, it is not handed out again.

        Raises
        ------
        InputError
            If it was not taken here, or is settled.
        """
        self._settle(frame, reason)

    @property
    def ended(self) -> bool:
        """Whether no frame will ever come again, because a file is at its end or this was closed."""
        return self._supervisor.handover.is_over

    def status(self) -> CameraStatus:
        """Return what is known of the camera now."""
        return self._supervisor.status()

    def changes(self, first: int = 0) -> list[Change]:
        """Return the states that it came into, from number `first` on; the last thousand are kept."""
        return self._supervisor.history.changes(first)

    def refusals(self, first: int = 0) -> list[tuple[int, Refusal]]:
        """Return what was lost and can be told apart, numbered, from `first` on; the last thousand are kept."""
        return self._supervisor.history.refusals(first)

    def close(self) -> None:
        """End the driver, and drop what waits. Frames that were taken can still be settled."""
        if not self._is_closed:
            self._is_closed = True
            self._supervisor.stop()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _settle(self, frame: Frame, reason: DropReason | None) -> None:
        # First it is remembered: a driver that starts in between must not hand it out again.
        if self._settled is not None and frame.file is not None:
            self._settled.add(frame.file)
        self._supervisor.handover.settle(frame, reason)

    def _remembered(self) -> list[FileIdentity]:
        refused = [refusal.file for _, refusal in self.refusals() if refusal.file is not None]
        return [*(self._settled or ()), *refused]
