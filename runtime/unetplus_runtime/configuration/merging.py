"""Settings of several sources, each over the one before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from unetplus_runtime.configuration.camera_text import camera_from_text
from unetplus_runtime.configuration.changes import walk
from unetplus_runtime.configuration.problems import Place, at
from unetplus_runtime.configuration.toml_file import read_toml
from unetplus_runtime.configuration.values import as_given, from_text

if TYPE_CHECKING:
    from unetplus_runtime.configuration.toml_lines import FieldPath

PREFIX = "UNETPLUS_SERVE__"
"""Of environment variables; two underscores in the rest stand for a dot."""

_Layer = list[tuple[tuple[str, ...], Any, Place]]


class Typed(NamedTuple):
    """The value of an option, with the option as it is typed.

    Attributes
    ----------
    flag
        Such as "--bundle".
    value
        Text, or what the text stands for.
    """

    flag: str
    value: Any


class Merged:
    """What the sources have set so far, and where.

    Attributes
    ----------
    tree
        Nested tables, as TOML has them.
    places
        Where each field was set, and each table of the file.
    problems
        What is wrong, by field.
    """

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self.places: dict[FieldPath, Place] = {}
        self.problems: dict[FieldPath, str] = {}
        self._here = Path.cwd()

    @property
    def camera(self) -> object:
        """The kind of the camera, as it is written; None if it is not."""
        camera = self.tree.get("camera")
        return camera.get("camera") if isinstance(camera, dict) else None

    def add_file(self, file: Path) -> None:
        """Begin with what a file has set.

        Raises
        ------
        ConfigurationError
            If it cannot be read, or is no TOML.
        """
        self.tree, lines = read_toml(file)
        folder = file.absolute().parent
        self.places = {path: Place(f"file {file} line {n}", f"{file}:{n}", folder, n) for path, n in lines.items()}

    def add_environment(self, environ: Mapping[str, str]) -> None:
        """Set what the environment has set."""
        layer: _Layer = []
        for name in sorted(name for name in environ if name.startswith(PREFIX)):
            field = name.removeprefix(PREFIX).lower().replace("__", ".")
            layer += self._given(field, environ[name], Place(f"environment {name}", name, self._here))
        self._add(layer)

    def add_options(self, options: Mapping[str, Any]) -> None:
        """Set what options have set; None was not typed."""
        layer: _Layer = []
        for field, option in options.items():
            plain_flag = "--camera" if field == "camera" else f"--set {field}"
            flag, value = option if isinstance(option, Typed) else (plain_flag, option)
            if value is not None:
                layer += self._given(field, value, Place(f"option {flag}", flag, self._here))
        self._add(layer)

    def make_sense(self) -> None:
        """Make every value what it means, and note those that mean nothing."""
        for path, value in list(walk(self.tree)):
            if path in self.places:
                *above, name = path
                table = self.tree
                for section in above:
                    table = table[section]
                try:
                    table[name] = as_given(path, value, self.places[path].base, self.camera)
                except ValueError as error:
                    self._note(path, str(error))

    def _given(self, field: str, value: Any, place: Place) -> _Layer:
        path = tuple(field.split("."))
        if isinstance(value, str):
            if field == "camera":
                try:
                    value = camera_from_text(value)
                except ValueError as error:
                    self.problems[path] = f"{place.mark}: {error}"
                    return []
            else:
                value = from_text(value)
        if isinstance(value, Mapping):
            return [(inside, one, place) for inside, one in walk(dict(value), path)]
        return [(path, value, place)]

    def _add(self, layer: _Layer) -> None:
        kinds = [value for path, value, _ in layer if path == ("camera", "camera")]
        if kinds and kinds[-1] != self.camera:
            # What was said of one camera is not meant for another.
            self._forget(("camera",))
            self.tree.pop("camera", None)
        for path, value, place in layer:
            *above, name = path
            table: Any = self.tree
            for section in above:
                table = table.setdefault(section, {})
                if not isinstance(table, dict):
                    self.problems[path] = f"{place.mark}: {'.'.join(path)}: there is no such field"
                    break
            else:
                self._forget(path)
                self.places[path] = place
                table[name] = value

    def _forget(self, path: FieldPath) -> None:
        for known in [known for known in self.places if known[: len(path)] == path]:
            del self.places[known]

    def _note(self, path: FieldPath, wrong: str) -> None:
        self.problems[path] = at(path, wrong, self.places)
