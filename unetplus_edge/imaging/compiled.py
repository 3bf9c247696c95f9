"""How kernels are compiled. Importing this module imports numba."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numba

if TYPE_CHECKING:
    from collections.abc import Callable


def kept(options: dict[str, Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that compiles a function at its first call, or reads what an earlier run has compiled."""

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        made = numba.njit(**options)(function)
        # Compiling takes seconds, so its outcome is kept for the next run, unless there is nowhere
        # to keep it: a service that has no home and may not write to the package's folder.
        with suppress(RuntimeError):
            made.enable_caching()
        return made  # type: ignore[no-any-return]

    return compiled
