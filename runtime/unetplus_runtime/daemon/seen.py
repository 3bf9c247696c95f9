"""Which pages of files a camera need not hand out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unetplus_runtime.cameras import FileIdentity
    from unetplus_runtime.cameras.isolation import IsolatedCamera
    from unetplus_runtime.records import RecordStore


class Seen:
    """Says which pages are done, whenever a driver starts.

    Parameters
    ----------
    store
        Knows those that were recorded, or dropped for ever.

    Attributes
    ----------
    camera
        Whose refusals count too, from the moment when there is one.
    given_up
        Pages that the engine could not segment: a later run tries them again.
    """

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self.camera: IsolatedCamera | None = None
        self.given_up: list[FileIdentity] = []

    def __call__(self) -> list[FileIdentity]:
        """Return them."""
        refusals = [] if self.camera is None else self.camera.refusals()
        refused = [refusal.file for _, refusal in refusals if refusal.file is not None]
        return [*self._store.done_files(), *refused, *self.given_up]
