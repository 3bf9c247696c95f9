"""The recipe: what it holds, and what it refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from unetplus_edge.architectures import UNet, UNetPlus
from unetplus_edge.imaging import Preprocessing
from unetplus_edge.training.recipe import Recipe


def test_the_defaults_are_the_articles():
    recipe = Recipe(architecture=UNetPlus())
    assert (recipe.epochs, recipe.learning_rate, recipe.bce_weight, recipe.dice_smoothing) == (20, 5e-4, 1, 1)
    assert (recipe.patch_side, recipe.min_foreground_ratio) == (256, 0.4)


def test_the_learning_rate_changes_after_the_first_part():
    recipe = Recipe(architecture=UNet(), epochs=2, learning_rate=0.5, extra_epochs=2, extra_learning_rate=0.25)
    assert recipe.total_epochs == 4
    assert [recipe.learning_rate_of(epoch) for epoch in (1, 2, 3, 4)] == [0.5, 0.5, 0.25, 0.25]


def test_a_recipe_survives_json():
    recipe = Recipe(architecture=UNetPlus(base_filters=3, upsampling="nearest", l2=1e-4), gap=2, learning_rate=1 / 3)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_a_recipe_cannot_be_changed():
    with pytest.raises(ValidationError):
        Recipe(architecture=UNet()).seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gap", -1),
        ("gap", 9),
        ("random_patches", -1),
        ("min_foreground_ratio", -0.1),
        ("patches_per_epoch", 0),
        ("empty_patches", -0.1),
        ("empty_patches", 1.1),
        ("batch_size", 0),
        ("epochs", 0),
        ("extra_epochs", -1),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("bce_weight", float("inf")),
        ("dice_smoothing", 0),
        ("seed", -1),
        ("split", "by patch"),
        ("labels", "mine"),
        ("momentum", 0.9),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValidationError) as refusal:
        Recipe.model_validate({"architecture": {"kind": "unet"}, field: value})
    assert refusal.value.errors()[0]["loc"] == (field,)


def test_infinity_is_refused_inside_the_parts_too():
    with pytest.raises(ValidationError):
        Preprocessing(tv_weight=float("inf"))
    with pytest.raises(ValidationError):
        UNet(l2=float("inf"))


@pytest.mark.parametrize(("depth", "side"), [(5, 40), (6, 48), (2, 17)])
def test_a_patch_side_that_the_network_cannot_halve_is_refused(depth, side):
    with pytest.raises(ValidationError, match=f"multiple of {2 ** (depth - 1)}"):
        Recipe(architecture=UNet(depth=depth), patch_side=side)


def test_a_split_by_patch_needs_the_patches_that_are_listed():
    with pytest.raises(ValidationError, match="256"):
        Recipe(architecture=UNet(), split="patches", patch_side=128)
    Recipe(architecture=UNet(), split="all_patches")
