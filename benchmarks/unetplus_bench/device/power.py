"""Energy between two moments, where the machine measures it itself: never estimated from load or data sheets."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from unetplus_bench.device.jetson import is_jetson
from unetplus_bench.device.machine import AbsentError, Machine
from unetplus_bench.device.power_sources import Source, board_rails, gpu_counters, gpu_monitors, jtop_total, rapl_zones

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class PowerMeter:
    """Measures the energy that goes in while its block runs.

    A Jetson measures the power of its rails, which is added up from samples: that of its whole input, else of all
    rails. Elsewhere it is what processors and their memory count (RAPL, on x86, mostly readable for root alone), and
    what each NVIDIA GPU counts, or where it does not count shows as its power. All that goes on in the machine is in
    it, other programs and idling included; what no monitor is in front of, such as a power supply's losses, is not.

    A meter measures one block.

    Parameters
    ----------
    root
        The folder below which the machine's files and commands are.
    interval
        Seconds between two samples.

    Attributes
    ----------
    joules
        The sum of `parts`; None where nothing is measured, or a part's monitor failed on the way.
    parts
        Joules by what they went into, such as "VDD_IN", "package-0", "gpu 0".
    absent
        Why something that might have been measured is not.
    seconds
        How long the block took.

    Examples
    --------
    >>> with PowerMeter() as meter:
    ...     total = sum(range(1000))
    >>> meter.joules is None or meter.joules >= 0
    True
    """

    def __init__(self, root: Path = Path("/"), *, interval: float = 0.1) -> None:
        self.joules: float | None = None
        self.parts: dict[str, float] = {}
        self.absent: dict[str, str] = {}
        self.seconds = 0.0
        self._machine = Machine(root)
        self._interval = interval
        self._accounts: list[_Account] = []
        self._open = ExitStack()
        self._end = threading.Event()
        self._sampler = threading.Thread(target=self._sample_often, name="power meter", daemon=True)
        self._began = 0.0

    def __enter__(self) -> PowerMeter:
        sources = self._of_jetson() if is_jetson(self._machine) else self._of_computer()
        self._accounts = [_Account(source) for source in sources]
        self._began = perf_counter()
        self._sample()
        if self._accounts:
            self._sampler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        if self._accounts:
            self._sampler.join()
        self._sample()
        self.seconds = perf_counter() - self._began
        self._open.close()
        failed = {account.name: account.failure for account in self._accounts if account.failure}
        self.parts = {account.name: account.joules for account in self._accounts if not account.failure}
        self.absent.update(failed)
        # A sum that lacks a part would pass for less energy.
        self.joules = sum(self.parts.values()) if self.parts and not failed else None

    def _of_jetson(self) -> list[Source]:
        rails = self._find("rails", lambda: board_rails(self._machine))
        if rails or not self._machine.is_this_one:
            return rails
        return self._find("jtop", lambda: jtop_total(self._open))

    def _of_computer(self) -> list[Source]:
        processors = self._find("rapl", lambda: rapl_zones(self._machine))
        counting = self._find("nvml", lambda: gpu_counters(self._open)) if self._machine.is_this_one else []
        if counting:
            return processors + counting
        return processors + self._find("gpus", lambda: gpu_monitors(self._machine, self._open, self._interval))

    def _find(self, name: str, find: Callable[[], list[Source]]) -> list[Source]:
        try:
            return find()
        except AbsentError as error:
            self.absent[name] = str(error)
            return []

    def _sample_often(self) -> None:
        while not self._end.wait(self._interval):
            self._sample()

    def _sample(self) -> None:
        for account in self._accounts:
            account.sample()


class _Account:
    """The joules of one source since its first sample."""

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.joules = 0.0
        self.failure: str | None = None
        self._source = source
        self._last: tuple[float, float] | None = None

    def sample(self) -> None:
        if self.failure:
            return
        try:
            now = (perf_counter(), self._source.read())
            if self._last is not None:
                self.joules += self._step(self._last, now)
            self._last = now
        except AbsentError as error:
            self.failure = str(error)

    def _step(self, before: tuple[float, float], now: tuple[float, float]) -> float:
        if not self._source.counts:
            return (now[0] - before[0]) * (now[1] + before[1]) / 2
        step = now[1] - before[1]
        if step >= 0:
            return step
        if self._source.full is None:
            raise AbsentError("its counter went back")
        return step + self._source.full
