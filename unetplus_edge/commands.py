"""What the project's commands have in common: how they fail, and how they know what was typed."""

from __future__ import annotations

import shlex
from typing import Any

import click

from unetplus_edge.errors import UnetPlusError

_INTERRUPTED = 130
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
