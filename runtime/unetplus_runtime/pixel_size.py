"""The size of a pixel, as an image file has it."""

from __future__ import annotations

import math
from typing import NamedTuple

_MICROMETRES = {
    "m": 1e6,
    "dm": 1e5,
    "cm": 1e4,
    "mm": 1e3,
    "\N{MICRO SIGN}m": 1.0,
    "\N{GREEK SMALL LETTER MU}m": 1.0,
    r"\u00b5m": 1.0,  # as ImageJ escapes it
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    # As NGFF has them.
    "meter": 1e6,
    "decimeter": 1e5,
    "centimeter": 1e4,
    "millimeter": 1e3,
    "nanometer": 1e-3,
    "picometer": 1e-6,
    "nm": 1e-3,
    "\N{LATIN CAPITAL LETTER A WITH RING ABOVE}": 1e-4,
    "\N{ANGSTROM SIGN}": 1e-4,
    "angstrom": 1e-4,
    "pm": 1e-6,
}
# Inches are missing for a reason: they come from programs that think of printers.

_TOLERANCE = 0.01


class PixelSize(NamedTuple):
    """What is known about the size of a pixel.

    Attributes
    ----------
    micrometres
        Side of the pixel; None where it cannot be used.
    source
        Where that comes from: "OME-XML", "ImageJ", "--pixel-size"; with the reason where it cannot
        be used.
    """

    micrometres: float | None
    source: str


def pixel_size(x: float | None, y: float | None, unit_x: str, unit_y: str, source: str) -> PixelSize | None:
    """Return the side of a pixel from its width and height.

    Sides that differ by at most 1 % count as equal: their geometric mean keeps areas. A pixel that
    is not square has no side, so nothing can be said in micrometres.

    Parameters
    ----------
    x, y
        Width and height; one of them stands for both.
    unit_x, unit_y
        Units of length.
    source
        Where these come from.

    Returns
    -------
    PixelSize or None
        None where no usable length is given.

    Examples
    --------
    >>> pixel_size(325, 325, "nm", "nm", "OME-XML")
    PixelSize(micrometres=0.325, source='OME-XML')
    >>> pixel_size(0.5, 0.25, "um", "um", "ImageJ")
    PixelSize(micrometres=None, source='ImageJ: not square, 0.5 x 0.25 um')
    """
    sides = [side for side in (_micrometres(x, unit_x), _micrometres(y, unit_y)) if side is not None]
    if not sides:
        return None
    width, height = sides[0], sides[-1]
    if abs(width - height) > _TOLERANCE * max(width, height):
        return PixelSize(None, f"{source}: not square, {width:g} x {height:g} um")
    return PixelSize(width if width == height else math.sqrt(width * height), source)


def _micrometres(length: float | None, unit: str) -> float | None:
    symbol = unit.strip()
    # A word may begin with a capital letter; a symbol may not, for Mm are a million metres.
    factor = _MICROMETRES.get(symbol if len(symbol) < len("micron") else symbol.casefold())
    if length is None or factor is None:
        return None
    side = length * factor
    return side if math.isfinite(side) and side > 0 else None
