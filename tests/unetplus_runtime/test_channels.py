from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_edge.errors import InputError
from unetplus_runtime.channels import find_channel, require_choice, take_channel

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = ("DAPI", "405", "GFP", "gfp")


def samples(count: int, dtype: Any = np.uint8) -> NDArray[Any]:
    return np.random.default_rng(1).integers(0, 255, (5, 7, count)).astype(dtype)


@pytest.mark.parametrize(
    ("channel", "index"), [("DAPI", 0), (" dapi ", 0), ("405", 1), ("1", 0), ("4", 3)], ids=lambda value: repr(value)
)
def test_a_channel_is_a_name_or_a_number_from_one(channel: str, index: int) -> None:
    assert find_channel(channel, NAMES, 4, "a.tif") == index


def test_a_name_goes_before_a_number() -> None:
    assert find_channel("1", ["3", "2", "1"], 3, "a.tif") == 2


@pytest.mark.parametrize("channel", ["0", "5", "-1", "1.0", "Cy5", "", "99999999999999999999"])
def test_a_channel_that_is_not_there_is_refused_with_those_that_are(channel: str) -> None:
    with pytest.raises(InputError, match=r"a\.tif has no channel .*; it has 4 channels: 1 \(DAPI\), 2 \(405\), 3"):
        find_channel(channel, NAMES, 4, "a.tif")


def test_a_name_of_two_channels_is_refused() -> None:
    with pytest.raises(InputError, match="2 channels called GFP; name one by its number"):
        find_channel("GFP", NAMES, 4, "a.tif")


def test_the_refusal_of_several_channels_lists_them() -> None:
    assert "a.tif holds 2 channels: 1 (DAPI), 2;" in str(require_choice(["DAPI", ""], 2, "a.tif"))
    assert "a.tif holds 3 channels; name the one" in str(require_choice([], 3, "a.tif"))


def test_a_grey_image_is_its_only_channel() -> None:
    grey = samples(1)[:, :, 0]
    for channel in (None, "1"):
        np.testing.assert_array_equal(take_channel(grey, channel, "a.png"), grey)
    with pytest.raises(InputError, match=r"a\.png has no channel blue; it has one channel"):
        take_channel(grey, "blue", "a.png")


def test_equal_channels_are_grey() -> None:
    grey = samples(1)
    taken = take_channel(np.repeat(grey, 3, axis=2), None, "a.png")
    np.testing.assert_array_equal(taken, grey[:, :, 0])
    assert taken.flags.c_contiguous


def test_a_colour_is_taken_by_name_or_number() -> None:
    image = samples(3)
    with pytest.raises(InputError, match=r"a\.png is in colour"):
        take_channel(image, None, "a.png")
    for index, channel in enumerate([("red", "1"), ("Green", "2"), ("blue", "3")]):
        for name in channel:
            np.testing.assert_array_equal(take_channel(image, name, "a.png"), image[:, :, index])


def test_more_channels_than_colours_have_numbers() -> None:
    image = samples(5, np.uint16)
    with pytest.raises(InputError, match=r"a\.tif holds 5 channels"):
        take_channel(image, None, "a.tif")
    np.testing.assert_array_equal(take_channel(image, "5", "a.tif"), image[:, :, 4])


@pytest.mark.parametrize(("dtype", "opaque"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1.0)])
def test_opacity_is_no_channel(dtype: Any, opaque: float) -> None:
    grey = samples(1, dtype)
    image = np.concatenate([grey, grey, grey, np.full_like(grey, opaque)], axis=2)
    np.testing.assert_array_equal(take_channel(image, None, "a.png", alpha=True), grey[:, :, 0])
    with pytest.raises(InputError, match="has no channel 4"):
        take_channel(image, "4", "a.png", alpha=True)
    image[2, 3, 3] = 0
    with pytest.raises(InputError, match="transparent pixels"):
        take_channel(image, None, "a.png", alpha=True)
    np.testing.assert_array_equal(take_channel(image, "red", "a.png", alpha=True), grey[:, :, 0])
