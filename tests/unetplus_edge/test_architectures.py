"""Names of networks, and what an architecture refuses."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from unetplus_edge.architectures import Architecture, UNet, UNetPlus, UNetPlusPlus, architecture_from_name
from unetplus_edge.errors import InputError

_NAMED = {
    "unet_b16": UNet(base_filters=16),
    "unet_plus_plus_b8": UNetPlusPlus(base_filters=8, variant="published"),
    "unet_plus_plus_controlled_b16": UNetPlusPlus(base_filters=16, variant="controlled"),
    "unet_plus_tc_b8": UNetPlus(base_filters=8, upsampling="transposed"),
    "unet_plus_us_b120": UNetPlus(base_filters=120, upsampling="nearest"),
}


@pytest.mark.parametrize(("name", "architecture"), _NAMED.items())
def test_a_name_stands_for_its_architecture_and_back(name: str, architecture: Architecture) -> None:
    assert architecture_from_name(name) == architecture
    assert architecture.name == name


@pytest.mark.parametrize(
    "name",
    ["", "unet", "unet_b", "unet_b0", "unet_b08", "unet_b-8", "unet_plus_b8", "UNet_b8", "unet_b8 ", "unet_b8\n"],
)
def test_another_name_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(InputError, match="unet_plus_tc_bN"):
        architecture_from_name(name)


def test_filters_double_from_level_to_level() -> None:
    assert [UNetPlus(base_filters=8).filters(level) for level in (1, 2, 3, 4, 5)] == [8, 16, 32, 64, 128]


@pytest.mark.parametrize(("depth", "multiple"), [(2, 2), (3, 4), (5, 16), (8, 128)])
def test_sides_are_multiples_of_what_all_levels_halve(depth: int, multiple: int) -> None:
    assert UNet(depth=depth).side_multiple == multiple


@pytest.mark.parametrize(
    "wrong",
    [{"base_filters": 0}, {"depth": 1}, {"depth": 9}, {"l2": -1}, {"l2": float("nan")}, {"l2": float("inf")}, {"b": 8}],
    ids=str,
)
def test_an_impossible_architecture_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        UNet.model_validate(wrong)


@pytest.mark.parametrize("architecture", _NAMED.values(), ids=_NAMED)
def test_an_architecture_survives_json(architecture: Architecture) -> None:
    adapter: TypeAdapter[Architecture] = TypeAdapter(Architecture)
    assert adapter.validate_json(adapter.dump_json(architecture)) == architecture
