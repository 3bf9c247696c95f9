"""Every constant of the recipe as an option of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click
from click.core import ParameterSource
from pydantic import ValidationError

from unetplus_edge.architectures import UNetPlus, architecture_from_name
from unetplus_edge.datasets.augmentation import Augmentation
from unetplus_edge.imaging import Preprocessing
from unetplus_edge.training.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

_PARTS: dict[str, tuple[type[BaseModel], dict[str, str]]] = {
    "recipe": (
        Recipe,
        {
            "labels": "Truth to learn: as released, or corrected by hand.",
            "split": "What the loss is validated on: held-out images, or the article's 8:2 split by patch, inside the "
            "other images or over all of them.",
            "gap": "Pixels that touching nuclei lose on either side in the mask to learn.",
            "gap_weight": "Weight of these pixels in the cross entropy.",
            "random_patches": "Patches drawn at random from every image in every epoch, beside the grid.",
            "min_foreground_ratio": "A random patch is kept where nucleus / background pixels is above this.",
            "patches_per_epoch": "Patches that an epoch learns from, drawn without replacement; all if not given.",
            "empty_patches": "Simulated fields without nuclei added to an epoch, as a part of its patches.",
            "patch_side": "Side of a patch in pixels.",
            "batch_size": "Patches in a step of the optimiser.",
            "epochs": "Epochs of the first part of the training.",
            "learning_rate": "Learning rate of the first part.",
            "extra_epochs": "Epochs of the second part; 5 for the article's U-Net++.",
            "extra_learning_rate": "Learning rate of the second part.",
            "bce_weight": "Weight of the binary cross entropy beside -log Dice.",
            "dice_smoothing": "Added to both halves of the Dice fraction.",
            "precision": "What is computed in while training; mixed_bfloat16 is faster on a CPU with AMX and on a GPU.",
            "seed": "Seed of all chance: weights, order, augmentation, dropout.",
        },
    ),
    "architecture": (
        UNetPlus,
        {
            "depth": "Levels of the network, N in the article.",
            "l2": "Factor of the L2 penalty on kernels; the article has 1e-4 for U-Net++ with 16 filters.",
        },
    ),
    "preprocessing": (
        Preprocessing,
        {
            "clahe_tile": "Side of a CLAHE tile in pixels, a power of two.",
            "clahe_clip": "Clip limit of CLAHE, in units of the mean over the bins of a tile.",
            "tv_weight": "Strength of total-variation denoising; 0 leaves it out.",
            "tv_iterations": "Iterations of the denoising.",
            "tv_scheme": "What an iteration is: 12 of primal_dual come as near to the solution as 30 of chambolle.",
        },
    ),
    "augmentation": (
        Augmentation,
        {
            "geometry": "Whether to mirror, turn, rotate and zoom.",
            "zoom": "Largest zoom in or out, as a factor above 1.",
            "rotation": "Probability of a rotation by any angle together with a zoom.",
            "blur": "Probability of a blur: Gaussian, median or average.",
            "contrast": "Largest relative change of contrast.",
            "brightness": "Largest shift of brightness, in parts of the image's own range.",
        },
    ),
}


def recipe_options() -> list[click.Parameter]:
    """Return the options, one a constant, with the recipe's defaults; their values are its fields' names."""
    return [
        _option(name, model.model_fields[name], text)
        for model, table in _PARTS.values()
        for name, text in table.items()
    ]


def given_recipe_options(ctx: click.Context) -> list[str]:
    """Return the options of the recipe that were typed, as they are spelt."""
    names = (name for _, table in _PARTS.values() for name in table)
    return [_flag(name) for name in names if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT]


def recipe_from_options(network: str, values: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a network's name and of the options' values.

    Raises
    ------
    InputError
        If no network has this name.
    click.BadParameter
        If a value is out of its range, or two do not go together.
    """
    parts = {part: {name: values[name] for name in table} for part, (_, table) in _PARTS.items()}
    architecture = architecture_from_name(network).model_dump() | parts["architecture"]
    nested = {"architecture": architecture, **{part: parts[part] for part in ("preprocessing", "augmentation")}}
    try:
        return Recipe.model_validate(parts["recipe"] | nested)
    except ValidationError as error:
        first = error.errors()[0]
        hint = _flag(str(first["loc"][-1])) if first["loc"] else None
        raise click.BadParameter(first["msg"].removeprefix("Value error, "), param_hint=hint) from error


def _option(name: str, field: FieldInfo, text: str) -> click.Option:
    kind: Any = field.annotation
    flag = _flag(name)
    if get_origin(kind) is Literal:
        kind = click.Choice(get_args(kind))
    elif kind == int | None:
        kind = int
    elif kind is bool:
        flag = f"{flag}/--no-{flag[2:]}"
    return click.Option([flag, name], type=kind, default=field.default, show_default=True, help=text)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
