"""A watched folder whose files are all known: what is put there, and how many nuclei segment finds in it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from unetplus_bench.endurance.pictures import Feeder, draw, put_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unetplus_bench.endurance.ledger import Ledger
    from unetplus_bench.endurance.stage import Stage

ONCE = "a sound file is counted once, with as many nuclei as segment finds"
NO_OTHER = "no file is counted that was not put there"

_PICTURES = 12


class WatchedFolder:
    """A new folder for a camera, `folder / "images"` of a stage.

    Parameters
    ----------
    stage
        Where it is; its model finds the truth.
    more
        Other files of which the truth is wanted, by name.

    Attributes
    ----------
    images
        The folder.
    pictures
        What is put there, over and over.
    truth
        How many nuclei there are, by file name and page from 0; that of a picture is NAME.png.
    """

    def __init__(self, stage: Stage, more: Mapping[str, bytes] | None = None) -> None:
        self._stage = stage
        self.images = stage.folder / "images"
        self.images.mkdir()
        self.pictures = draw(stage.side, _PICTURES)
        known = stage.folder / "known"
        known.mkdir()
        contents = {f"{picture.name}.png": picture.content for picture in self.pictures}
        for name, content in {**contents, **(more or {})}.items():
            put_whole(known / name, content)
        self.truth = stage.segmented(known)

    def feed(self, rate: float, slow: float = 0.0) -> Feeder:
        """Return what puts pictures there, so many a second, that part of them slowly."""
        return Feeder(self.images, self.pictures, self._stage.chance, rate=rate, slow=slow)

    def see(self, ledger: Ledger, feeder: Feeder) -> dict[str, dict[int, list[int]]]:
        """See that each file which was put there is counted once; return the counts of all others.

        Returns
        -------
        dict
            Numbers of nuclei of each record of a page, by file and page.
        """
        counted: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for row in ledger.frames.values():
            counted[row["file_path"].rpartition("/")[2]][row["file_page"]].append(row["nuclei"])
        for name, picture in feeder.put.items():
            found = counted.pop(name, {})
            self._stage.proof.claim(ONCE, found == {0: [self.truth[f"{picture}.png", 0]]}, (name, found))
        self._stage.proof.count("sound files", len(feeder.put))
        return counted
