"""Nuclei as GeoJSON that QuPath opens."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any

from unetplus_runtime.formats.outlines import outlines
from unetplus_runtime.results import result_file

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_runtime.formats.segmented import Segmented

_CLASS = {"name": "Nucleus", "color": [0, 160, 255]}

_MEASUREMENTS = {
    "label": "Label",
    "area": "Nucleus: Area px^2",
    "equivalent_diameter": "Nucleus: Equivalent diameter px",
    "eccentricity": "Nucleus: Eccentricity",
    "intensity_mean": "Nucleus: Mean",
    "intensity_min": "Nucleus: Min",
    "intensity_max": "Nucleus: Max",
    "touches_border": "Nucleus: Touches border",
    "area_um2": "Nucleus: Area \N{MICRO SIGN}m^2",
    "equivalent_diameter_um": "Nucleus: Equivalent diameter \N{MICRO SIGN}m",
    "centroid_y_um": "Centroid Y \N{MICRO SIGN}m",
    "centroid_x_um": "Centroid X \N{MICRO SIGN}m",
}
"""Columns of the table, and what QuPath's own cell detection would call them."""


def write(path: Path, segmented: Segmented) -> None:
    """Write one feature a nucleus: a detection of the class Nucleus with its measurements.

    Coordinates are pixels, as QuPath has them. Holes are inner rings. The same nuclei always make
    the same file.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    labels, nuclei = segmented.result.labels, segmented.result.nuclei
    content = hashlib.sha256(labels.tobytes()).hexdigest()
    with result_file(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for number, ((label, rings), row) in enumerate(zip(outlines(labels, nuclei), nuclei.rows(), strict=True)):
            feature: dict[str, Any] = {
                "type": "Feature",
                "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{content}/{label}")),
                "geometry": {"type": "Polygon", "coordinates": [ring.tolist() for ring in rings]},
                "properties": {
                    "objectType": "detection",
                    "classification": _CLASS,
                    "measurements": {
                        name: float(row[column]) for column, name in _MEASUREMENTS.items() if column in row
                    },
                },
            }
            file.write((",\n" if number else "\n") + json.dumps(feature, ensure_ascii=False))
        file.write("\n]}\n")
