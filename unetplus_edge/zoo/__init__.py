"""The bundles that come with the package, by name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from unetplus_edge.bundle import MANIFEST, Bundle, open_bundle
from unetplus_edge.errors import BundleError

DEFAULT = "unet_plus_tc_b8"
"""The bundle that commands use when none is named."""

WIDE = "unet_plus_tc_b16"
"""The bundle of the same network with twice the filters on every level."""


def zoo_names() -> list[str]:
    """Return the names of the bundles that come with the package."""
    return sorted(path.parent.name for path in _folder().glob(f"*/{MANIFEST}"))


def find_bundle(name_or_path: str | Path = DEFAULT) -> Bundle:
    """Return a bundle by its name in the zoo, or by its path.

    A folder of that path wins over a name in the zoo.

    Raises
    ------
    BundleError
        If there is neither, or the bundle is damaged.
    """
    path = Path(name_or_path)
    if path.is_dir():
        return open_bundle(path)
    if str(name_or_path) in zoo_names():
        return open_bundle(_folder() / name_or_path)
    raise BundleError(f"{name_or_path} is neither a folder nor one of the zoo's bundles ({', '.join(zoo_names())})")


def _folder() -> Path:
    return Path(str(resources.files("unetplus_edge.zoo")))
