"""Where settings come from: a TOML file, over that the environment, over that options."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from unetplus_edge.errors import ConfigurationError
from unetplus_runtime.configuration.changes import leaves
from unetplus_runtime.configuration.merging import Merged, Typed
from unetplus_runtime.configuration.problems import place_of, sentences
from unetplus_runtime.configuration.settings import ServeSettings, default_data_dir

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from unetplus_runtime.configuration.problems import Place
    from unetplus_runtime.configuration.toml_lines import FieldPath

__all__ = ["NOWHERE", "Loaded", "Typed", "load"]

NOWHERE = "default"
"""Origin of what nobody has set."""


class Loaded(NamedTuple):
    """Settings, and where they are from.

    Attributes
    ----------
    settings
        All of them; paths are absolute.
    origin
        Of each field by its dotted name: "file FILE line N", "environment NAME", "option --x", or
        "default".
    simulated_by_default
        Whether the camera is the simulated one because none was named, and there is no file.
    """

    settings: ServeSettings
    origin: dict[str, str]
    simulated_by_default: bool


def load(file: Path | None, options: Mapping[str, Any], environ: Mapping[str, str]) -> Loaded:
    """Return the settings that a file, the environment and options make up.

    An option wins over an environment variable, and that over the file. Whichever names another
    camera sets aside what was said of the one before. Relative paths in a file begin at its folder,
    all others at the working folder.

    Parameters
    ----------
    file
        TOML; None for none.
    options
        Values by dotted field, such as "camera.rate": text as typed, or the value itself, or
        `Typed`; None for what was not typed. "camera" takes what `--camera` takes.
    environ
        The environment. Of it count `UNETPLUS_SERVE__CAMERA__RATE` and the like, and what says
        where the user's state folder is.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, has no camera while none is named elsewhere, or any field is
        wrong. Of every problem it says file and line, field, what is wrong and what is right.

    Examples
    --------
    >>> loaded = load(None, {"camera.rate": "10", "camera": "simulated"}, {})
    >>> loaded.settings.camera.rate, loaded.origin["camera.rate"], loaded.simulated_by_default
    (10.0, 'option --set camera.rate', False)
    """
    merged = Merged()
    if file is not None:
        merged.add_file(file)
    merged.add_environment(environ)
    merged.add_options(options)
    tree, problems = merged.tree, merged.problems
    simulated_by_default = file is None and "camera" not in tree and ("camera",) not in problems
    if "camera" not in tree:
        tree["camera"] = {"camera": "simulated"}  # or, where that is an error, to see what else is wrong
        if file is not None and ("camera",) not in problems:
            problems["camera",] = (
                f'{file}: camera: is missing; write a section [camera] with camera = "folder" and path = "/images", '
                'or with camera = "opencv" or "simulated"'
            )
    if "data_dir" not in tree:
        try:
            tree["data_dir"] = default_data_dir(environ)
        except RuntimeError:
            problems["data_dir",] = "data_dir: is missing, and this user has no home; name a folder with --data-dir"
            tree["data_dir"] = "."
    merged.make_sense()
    try:
        settings = ServeSettings.model_validate(tree)
    except ValidationError as error:
        found = sentences(error, tree, merged.places, str(file or ""))
        problems |= {path: said for path, said in found.items() if path not in problems}
    if problems:
        raise ConfigurationError(*(problems[path] for path in sorted(problems, key=partial(_order, merged.places))))
    by_name = {".".join(map(str, path)): place.origin for path, place in merged.places.items()}
    return Loaded(settings, {field: by_name.get(field, NOWHERE) for field in leaves(settings)}, simulated_by_default)


def _order(places: Mapping[FieldPath, Place], path: FieldPath) -> tuple[bool, int]:
    """Return a key that sorts by line, what is not in the file last."""
    place = place_of(path, places)
    line = 0 if place is None else place.line
    return line == 0, line
