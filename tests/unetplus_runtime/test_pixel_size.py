from __future__ import annotations

import math

import pytest

from unetplus_runtime.pixel_size import PixelSize, pixel_size


@pytest.mark.parametrize(
    ("length", "unit", "micrometres"),
    [
        (0.5, "\N{MICRO SIGN}m", 0.5),
        (0.5, "\N{GREEK SMALL LETTER MU}m", 0.5),
        (0.5, "\\u00B5m".lower(), 0.5),
        (0.5, "um", 0.5),
        (0.5, "Micron", 0.5),
        (0.5, " microns ", 0.5),
        (325, "nm", 0.325),
        (0.0005, "mm", 0.5),
        (5e-7, "m", 0.5),
        (5000, "\N{ANGSTROM SIGN}", 0.5),
        (5000, "\N{LATIN CAPITAL LETTER A WITH RING ABOVE}", 0.5),
    ],
)
def test_units_of_length_become_micrometres(length: float, unit: str, micrometres: float) -> None:
    found = pixel_size(length, length, unit, unit, "OME-XML")
    assert found is not None
    assert found.micrometres == pytest.approx(micrometres)
    assert found.source == "OME-XML"


@pytest.mark.parametrize("unit", ["", "pixel", "inch", "Mm", "reference frame", "furlong"])
def test_what_is_no_length_says_nothing(unit: str) -> None:
    assert pixel_size(0.5, 0.5, unit, unit, "ImageJ") is None


@pytest.mark.parametrize("length", [None, 0.0, -1.0, math.nan, math.inf])
def test_an_impossible_length_says_nothing(length: float | None) -> None:
    assert pixel_size(length, length, "um", "um", "ImageJ") is None


def test_one_side_stands_for_both() -> None:
    assert pixel_size(0.5, None, "um", "um", "ImageJ") == PixelSize(0.5, "ImageJ")
    assert pixel_size(None, 500, "um", "nm", "ImageJ") == PixelSize(0.5, "ImageJ")


def test_nearly_square_pixels_keep_their_area() -> None:
    found = pixel_size(0.5, 0.504, "um", "um", "ImageJ")
    assert found is not None
    assert found.micrometres is not None
    assert found.micrometres**2 == pytest.approx(0.5 * 0.504)


def test_pixels_that_are_not_square_have_no_side() -> None:
    assert pixel_size(0.5, 250, "um", "nm", "OME-XML") == PixelSize(None, "OME-XML: not square, 0.5 x 0.25 um")
