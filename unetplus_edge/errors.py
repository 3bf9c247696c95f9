"""Errors that a user can act on, each with the exit code of the command that meets it."""

from __future__ import annotations


class UnetPlusError(Exception):
    """What went wrong and what to do about it, in one sentence for the user.

    Commands print the sentence on stderr and leave with `exit_code`. Codes 1 and 2 belong to
    Python and to the command line; 3 to 5 are kept for the outcome of an export, 6 for a comparison of
    measurements of which one is slower.
    """

    exit_code = 10


class InputError(UnetPlusError):
    """A frame, a file or an argument is not what the function works on."""

    exit_code = 11


class DataSetError(UnetPlusError):
    """A data set is missing, incomplete or damaged."""

    exit_code = 12


class BundleError(UnetPlusError):
    """A model bundle is missing, damaged or of another schema."""

    exit_code = 13


class EngineError(UnetPlusError):
    """An engine cannot be opened here, or refuses what it was asked to run."""

    exit_code = 14


class OutputError(UnetPlusError):
    """A result cannot be written where it was asked for."""

    exit_code = 15


class TrainingError(UnetPlusError):
    """A training cannot start, go on or be resumed."""

    exit_code = 16


class PartialResultError(UnetPlusError):
    """Some inputs were refused; the results of all others are complete."""

    exit_code = 17


class ConversionError(UnetPlusError):
    """A model cannot be converted to a format."""

    exit_code = 18


class CameraError(UnetPlusError):
    """A camera cannot be opened here, is gone, or gives what is no frame."""

    exit_code = 19


class ConfigurationError(UnetPlusError):
    """Settings of the daemon are wrong.

    Parameters
    ----------
    problems
        A sentence for each: where it is (file and line, environment variable or option), which
        field, what is wrong, and what is right.

    Attributes
    ----------
    problems
        As given. The error's own sentence has all of them.
    """

    exit_code = 20

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("; also ".join(problems))


class NotRunningError(UnetPlusError):
    """There is no daemon to ask."""

    exit_code = 21
