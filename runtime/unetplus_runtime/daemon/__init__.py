"""The daemon: frames of one camera, segmented one after another, with results that survive.

`Daemon` does the work. What it knows is in one object, `DaemonState`; whoever shows or asks anything
needs nothing else.
"""

from __future__ import annotations

from unetplus_runtime.daemon.daemon import Daemon
from unetplus_runtime.daemon.limits import Limits
from unetplus_runtime.daemon.snapshot import DaemonSnapshot
from unetplus_runtime.daemon.state import DaemonState

__all__ = ["Daemon", "DaemonSnapshot", "DaemonState", "Limits"]
