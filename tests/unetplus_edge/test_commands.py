from __future__ import annotations

import shlex
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from unetplus_edge import errors
from unetplus_edge.commands import Command, Group, command_line


@click.command(cls=Command)
@click.argument("what", default="nothing")
@click.option("--times", type=int, default=1)
@click.pass_context
def single(context: click.Context, what: str, times: int) -> None:
    """Do what the argument says."""
    if what == "interrupt":
        raise KeyboardInterrupt
    if what == "mistake":
        raise ZeroDivisionError
    if hasattr(errors, what):
        raise getattr(errors, what)("what went wrong; what to do")
    click.echo(command_line(context))


@click.group(cls=Group)
def group() -> None:
    """Hold the command twice: as it is, and made by the group."""


group.add_command(single)


@group.command()
def made() -> None:
    """Fail."""
    raise errors.InputError("made to fail")


KINDS = [error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, Exception)]


@pytest.mark.parametrize("error", KINDS)
@pytest.mark.parametrize("command", [(single, []), (group, ["single"])], ids=["single", "group"])
def test_an_error_is_one_sentence_and_its_exit_code(
    command: tuple[click.Command, list[str]], error: type[errors.UnetPlusError]
) -> None:
    result = CliRunner().invoke(command[0], [*command[1], error.__name__])
    assert result.exit_code == error.exit_code
    assert result.stderr == "error: what went wrong; what to do\n"
    assert result.stdout == ""


def test_exit_codes_differ_and_leave_those_of_others_alone() -> None:
    codes = [error.exit_code for error in KINDS]
    assert len(set(codes)) == len(codes)
    assert not set(codes) & {0, 1, 2, 3, 4, 5, 130}


def test_commands_that_a_group_makes_fail_alike() -> None:
    result = CliRunner().invoke(group, ["made"])
    assert (result.exit_code, result.stderr) == (11, "error: made to fail\n")


@pytest.mark.parametrize("arguments", [["interrupt"], ["single", "interrupt"]])
def test_an_interruption_leaves_as_shells_have_it(arguments: list[str]) -> None:
    result = CliRunner().invoke(single if len(arguments) == 1 else group, arguments)
    assert (result.exit_code, result.stderr) == (130, "error: interrupted\n")


_IGNORED = """
import signal, time, click
from unetplus_edge.commands import Command

class Interrupted:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

@click.command(cls=Command)
def command():
    Interrupted()
    print("ignored by Python")
    time.sleep(50)

signal.signal(signal.SIGINT, signal.default_int_handler)
command()
"""


def test_an_interruption_that_python_ignores_is_heard_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", _IGNORED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "ignored by Python\n", "error: interrupted\n")


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    result = CliRunner().invoke(single, ["mistake"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_usage_errors_and_help_are_clicks_own() -> None:
    assert CliRunner().invoke(single, ["--no-such-option"]).exit_code == 2
    assert CliRunner().invoke(single, ["--help"]).exit_code == 0


def test_the_command_line_is_read_by_a_shell_as_it_was_typed() -> None:
    arguments = ["single", "two words; $HOME", "--times", "3"]
    printed = CliRunner().invoke(group, arguments, prog_name="unetplus-example").stdout
    assert shlex.split(printed) == ["unetplus-example", *arguments]
