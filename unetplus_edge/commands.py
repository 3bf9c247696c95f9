"""What the project's commands have in common: how they fail, and how they know what was typed."""

from __future__ import annotations

import _thread
import shlex
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from unetplus_edge.errors import UnetPlusError

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTERRUPTED = 130
_SOON = 0.1  # seconds
_COMMAND_LINE = f"{__name__}.command_line"


class Command(click.Command):
    """A command that turns errors into one sentence on stderr and an exit code.

    A `UnetPlusError` leaves with its own code, an interruption with 130, as shells have it. Any
    other exception is a mistake of ours and keeps its traceback.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what was typed, for `command_line`."""
        ctx.meta[_COMMAND_LINE] = shlex.join([*ctx.command_path.split(), *args])
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; see the class for what happens to errors."""
        try:
            with _no_interruption_is_lost():
                return super().invoke(ctx)
        except UnetPlusError as error:
            click.echo(f"error: {printable(str(error))}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("error: interrupted", err=True)
            ctx.exit(_INTERRUPTED)


class Group(Command, click.Group):
    """A group of commands, all of which fail as `Command` does."""

    command_class = Command


@contextmanager
def _no_interruption_is_lost() -> Iterator[None]:
    """Interrupt again soon where Python has to ignore an interruption: in a `__del__`, or a callback from C."""
    before = sys.unraisablehook
    again: list[threading.Timer] = []

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is KeyboardInterrupt:
            again.append(threading.Timer(_SOON, _interrupt))
            again[-1].start()
        else:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in again:
            timer.cancel()


def _interrupt() -> None:
    if sys.platform == "win32":
        _thread.interrupt_main()
    elif (main := threading.main_thread().ident) is not None:
        signal.pthread_kill(main, signal.SIGINT)  # which wakes it, too, where it waits


def printable(text: str) -> str:
    r"""Return a sentence with everything escaped that would not print as one line.

    File names may hold line breaks, commands to the terminal, and what is no Unicode.

    >>> print(printable("a\nb.png does not exist"))
    a\nb.png does not exist
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def command_line(ctx: click.Context) -> str:
    """Return the command as it was typed, quoted so that a shell reads it the same.

    Parameters
    ----------
    ctx
        The context of a `Command`.
    """
    typed: str = ctx.meta[_COMMAND_LINE]
    return typed
