"""Several trainings in one go: the models of the article, one after another, by one recipe."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from unetplus_edge.architectures import architecture_from_name
from unetplus_edge.errors import InputError, TrainingError
from unetplus_edge.imaging import Preprocessing
from unetplus_edge.training.recipe import Precision, Recipe
from unetplus_edge.training.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

PATCHES_PER_EPOCH: Final = 400
"""Of some 1,460 that there are, so that all trainings together take hours on two cores and not days."""

BATCH_SIZE: Final = 4
"""So that an epoch of so few patches still has 100 steps; the article does not say its own."""

PRECISION: Final[Precision] = "mixed_bfloat16"
"""For the same reason; and a GPU takes less time in it too."""

PREPROCESSING: Final = Preprocessing(tv_scheme="primal_dual", tv_iterations=12)
"""As near to the solution as 30 iterations of Chambolle's, in two thirds of the time a frame or less."""

L2: Final[Mapping[int, float]] = {8: 0.0, 16: 1e-4}
"""Factor of the L2 penalty in the article's U-Net++, by the filters of the first level."""

OTHER_L2: Final[Mapping[int, tuple[str, float]]] = {8: ("l2", 1e-4), 16: ("no_l2", 0.0)}
"""What the article tried in its place: how the folder of that training ends, and the factor."""

EXTRA_EPOCHS: Final = 5
"""That the article's U-Net++ is trained longer, at a lower learning rate."""

_FAMILIES = ("unet_plus_tc", "unet", "unet_plus_plus", "unet_plus_us")
_WIDTHS = (8, 16)
_TRAIN = "from unetplus_edge.training.command import main; main()"
_INTERRUPTED = (130, -signal.SIGINT, -signal.SIGTERM)


@dataclass(frozen=True)
class Member:
    """One training of a suite.

    Attributes
    ----------
    name
        Of its folder inside the suite's.
    recipe
        What is trained, and how.
    """

    name: str
    recipe: Recipe


@dataclass(frozen=True)
class Outcome:
    """How a training of a suite ended.

    Attributes
    ----------
    name
        Of the member.
    epochs
        Finished ones.
    best_epoch, best_loss
        The epoch with the lowest validation loss, and that loss; None where none is finished.
    exit_code
        Of `unetplus-train`; 0 where the training is at its end.
    """

    name: str
    epochs: int
    best_epoch: int | None
    best_loss: float | None
    exit_code: int


def article_suite(seeds: int = 1) -> tuple[Member, ...]:
    """Return the trainings of Long 2020, in the order in which they are done.

    First the eight models of its Tables 1 and 2, the narrow ones ahead of the wide ones; then
    U-Net++ with the L2 factor that the article did not choose; then the narrow U-Net++ built and
    trained as the other networks are (batch norm, ReLU, no dropout, no extra epochs); then the
    eight again with other seeds.

    All learn from the released labels of all 546 images by the article's split by patch: nothing
    may be chosen on their validation loss.

    Parameters
    ----------
    seeds
        How many times the eight are trained; the first time with seed 0.

    Examples
    --------
    >>> [member.name for member in article_suite()][:3]
    ['unet_plus_tc_b8', 'unet_b8', 'unet_plus_plus_b8']
    """
    eight = [_member(f"{family}_b{width}") for width in _WIDTHS for family in _FAMILIES]
    ablations = [_member(f"unet_plus_plus_b{width}", *OTHER_L2[width]) for width in _WIDTHS]
    again = [
        Member(f"{member.name}_seed{seed}", member.recipe.model_copy(update={"seed": seed}))
        for seed in range(1, seeds)
        for member in eight
    ]
    return (*eight, *ablations, _member("unet_plus_plus_controlled_b8"), *again)


def _member(network: str, ending: str = "", l2: float | None = None) -> Member:
    architecture = architecture_from_name(network)
    changes: dict[str, Any] = {}
    if network.startswith("unet_plus_plus_b"):
        factor = L2[architecture.base_filters] if l2 is None else l2
        architecture = architecture.model_copy(update={"l2": factor})
        changes["extra_epochs"] = EXTRA_EPOCHS
    recipe = Recipe(
        architecture=architecture,
        preprocessing=PREPROCESSING,
        labels="released",
        split="all_patches",
        gap=0,
        random_patches=1,
        patches_per_epoch=PATCHES_PER_EPOCH,
        batch_size=BATCH_SIZE,
        precision=PRECISION,
        **changes,
    )
    return Member("_".join(filter(None, [network, ending])), recipe)


def chosen(members: Sequence[Member], names: Iterable[str]) -> tuple[Member, ...]:
    """Return the members of these names, in the order of the suite.

    Raises
    ------
    InputError
        If there is none of a name.
    """
    wanted = set(names)
    unknown = sorted(wanted - {member.name for member in members})
    if unknown:
        known = ", ".join(member.name for member in members)
        raise InputError(f"the suite has no {', '.join(unknown)}; it has {known}")
    return tuple(member for member in members if member.name in wanted)


def train_suite(
    members: Sequence[Member],
    folder: Path,
    data: Path | None = None,
    *,
    quiet: bool = False,
    begin: Callable[[Member], None] = lambda member: None,
) -> list[Outcome]:
    """Train members one after another, each in a process of its own, from wherever its folder is.

    A member that fails does not stop the next one. What is finished is left as it is, whether a
    suite or `unetplus-train --out` began it.

    Parameters
    ----------
    members
        What to train, in order.
    folder
        Holds the folder of each member, by its name.
    data
        As for `unetplus_edge.datasets.open_dsb2018`.
    quiet
        Show no progress.
    begin
        Told of every member whose training begins or goes on.

    Raises
    ------
    TrainingError
        If a folder holds a training by another recipe; found before anything is trained.
    KeyboardInterrupt
        If it was interrupted. Epochs that are finished stay.
    """
    for member in members:
        _check(member, RunFolder(folder / member.name))
    outcomes = []
    for member in members:
        run = RunFolder(folder / member.name)
        code = 0
        if not is_finished(member, run):
            begin(member)
            code = _train(member, run, data, quiet=quiet)
        records = run.records()
        best = min(records, key=lambda record: record.validation_loss, default=None)
        outcomes.append(
            Outcome(
                member.name, len(records), best.epoch if best else None, best.validation_loss if best else None, code
            )
        )
    return outcomes


def _check(member: Member, run: RunFolder) -> None:
    if not (run.path / "recipe.json").exists():
        return
    found, wanted = run.recipe().model_dump(), member.recipe.model_dump()
    other = [f"{name} {found[name]} in place of {wanted[name]}" for name in wanted if found[name] != wanted[name]]
    if other:
        raise TrainingError(
            f"{run.path} holds a training by another recipe ({'; '.join(other)}); name another folder with --out, or "
            "remove it"
        )


def is_finished(member: Member, run: RunFolder) -> bool:
    """Return whether all epochs of a member are done in a folder, and its bundle made."""
    return len(run.records()) == member.recipe.total_epochs and (run.path / "bundle").exists()


def _train(member: Member, run: RunFolder, data: Path | None, *, quiet: bool) -> int:
    if not (run.path / "recipe.json").exists():
        run.start(member.recipe)
    arguments = ["--resume", "--out", str(run.path), "--json"]
    arguments += ["--data", str(data)] if data is not None else []
    arguments += ["--quiet"] if quiet else []
    # A process of its own gives all memory back, and begins as one that trains this model alone.
    with subprocess.Popen([sys.executable, "-c", _TRAIN, *arguments], stdout=subprocess.DEVNULL) as child:

        def pass_on(number: int, _: object) -> None:
            child.send_signal(number)

        previous = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            code = child.wait()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
    if code in _INTERRUPTED:
        raise KeyboardInterrupt
    return code
