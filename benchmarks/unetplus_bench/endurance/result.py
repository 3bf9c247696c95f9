"""The file that an endurance run leaves, written anew after every part."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import unetplus_runtime
from unetplus_edge.errors import InputError
from unetplus_runtime.results import write_text

if TYPE_CHECKING:
    from unetplus_bench.endurance.proof import Proof

SCHEMA_VERSION: Final = 1


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ClaimRecord(_Record):
    """A claim, how often it was looked at and did not hold, and what was found then the first times."""

    times: Annotated[int, Field(ge=1)]
    failures: Annotated[int, Field(ge=0)]
    examples: tuple[str, ...] = ()


class PartRecord(_Record):
    """What came of a part.

    Attributes
    ----------
    what
        What was done.
    count
        How many times; of the soak, seconds.
    seed
        Of the moments and places.
    side
        Of the frames, px.
    model
        Name of the model's bundle; `engine` and `threads` as they were asked for.
    started
        When, in UTC, as ISO 8601 has it.
    seconds
        How long it took.
    commit
        Of the code, with "+" where it was changed since; null outside of a checkout.
    runtime
        `runtime_hash` of the code that was played with.
    claims
        By sentence.
    figures
        Measured quantities by name.
    error
        Why the part could not be finished; null if it was.
    """

    what: str
    count: Annotated[int, Field(ge=1)]
    seed: int
    side: int
    model: str
    engine: str
    threads: int | None
    started: str
    seconds: float
    commit: str | None
    runtime: str
    claims: dict[str, ClaimRecord]
    figures: dict[str, Any]
    error: str | None = None

    @property
    def holds(self) -> bool:
        """Whether it was finished, and every claim held each time."""
        return self.error is None and bool(self.claims) and not self.failures

    @property
    def failures(self) -> int:
        """How often a claim did not hold."""
        return sum(claim.failures for claim in self.claims.values())


class EnduranceResult(_Record):
    """What came of all parts.

    Attributes
    ----------
    short
        Whether the short form was played.
    command
        That was typed last.
    device
        What `device_facts` returns.
    parts
        By name.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    short: bool
    command: str
    device: dict[str, Any]
    parts: dict[str, PartRecord] = {}

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        write_text(path, self.model_dump_json(indent=1) + "\n")


def read_endurance(path: Path) -> EnduranceResult:
    """Read a result file.

    Raises
    ------
    InputError
        If there is none, or it is something else.
    """
    try:
        return EnduranceResult.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a result file of the endurance") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{path} is no result file of the endurance: {where}: {first['msg']}; name another") from error


def claims_of(proof: Proof) -> dict[str, ClaimRecord]:
    """Return the claims of a proof as they are written."""
    return {
        sentence: ClaimRecord(times=claim.times, failures=claim.failures, examples=tuple(claim.examples))
        for sentence, claim in proof.claims.items()
    }


def runtime_hash(folder: Path | None = None) -> str:
    """Return a hash of the code below `runtime/`: names and contents of its Python files, in the order of the names.

    Parameters
    ----------
    folder
        That of the package; None takes the one that runs.
    """
    folder = folder or Path(unetplus_runtime.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix().encode()
        content = path.read_bytes()
        digest.update(b"%d %d " % (len(name), len(content)) + name + content)
    return digest.hexdigest()
