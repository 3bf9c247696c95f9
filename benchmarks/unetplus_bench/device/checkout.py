"""Which code measured: the commit of the checkout that it runs from."""

from __future__ import annotations

from pathlib import Path

from unetplus_bench.device.machine import AbsentError, Machine

# Of a changed page or result file no time depends.
_CODE = (":(top)*.py", ":(top)setup.cfg", ":(top)pyproject.toml", ":(top,exclude)tests")


def code_version(folder: Path = Path(__file__).parent) -> str | None:
    """Return the commit of the checkout, with "+" if code in it was changed or added; None outside of a checkout.

    Parameters
    ----------
    folder
        A package's folder. It counts as in a checkout only if its `__init__.py` is under version control there: the
        packages of a virtual environment inside some checkout are not of that checkout.
    """
    try:
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--", *_CODE)
    except AbsentError:
        return None
    return f"{commit}+" if changed else commit


def _git(folder: Path, *words: str) -> str:
    # Without locks nothing is written, not even git's cache of what it looked at.
    return Machine().run("git", "--no-optional-locks", "-C", str(folder), *words, seconds=20).strip()
