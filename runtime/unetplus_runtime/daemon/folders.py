"""Whether the folder of the results and the folder of the images keep out of each other's way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unetplus_edge.errors import ConfigurationError
from unetplus_runtime.cameras import FolderSettings

if TYPE_CHECKING:
    from unetplus_runtime.configuration import ServeSettings


def check_folders(settings: ServeSettings) -> None:
    """Refuse results in the folder that is watched, and images in the folder of the results.

    Recorded frames would be taken for new ones, and retention would remove what is not ours.

    Raises
    ------
    ConfigurationError
        If one lies in the other, or both are the same.
    """
    if not isinstance(settings.camera, FolderSettings):
        return
    results, images = settings.data_dir.resolve(), settings.camera.path.resolve()
    if results == images or images in results.parents:
        raise ConfigurationError(
            f"data_dir: {settings.data_dir} lies in the folder that is watched, {settings.camera.path}; choose one "
            "outside of it"
        )
    if results in images.parents:
        raise ConfigurationError(
            f"camera.path: {settings.camera.path} lies in the folder of the results, {settings.data_dir}; choose "
            "another --data-dir"
        )
