"""What setup.cfg promises is there."""

from __future__ import annotations

import ast
import re
from configparser import ConfigParser
from fnmatch import fnmatch
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


@pytest.fixture(scope="module")
def metadata() -> ConfigParser:
    parser = ConfigParser()
    parser.read(_ROOT / "setup.cfg")
    return parser


@pytest.fixture(scope="module")
def folders(metadata: ConfigParser) -> dict[str, Path]:
    """The folder of each top-level package."""
    pairs = (line.split("=") for line in _lines(metadata["options"]["package_dir"]))
    return {name.strip(): _ROOT / folder.strip() for name, folder in pairs}


def _requirement_names(text: str) -> set[str]:
    return {re.match(r"[\w.-]+", line)[0].lower() for line in _lines(text)}  # type: ignore[index]


def _module_file(folders: dict[str, Path], module: str) -> Path:
    package, *parts = module.split(".")
    return folders[package].joinpath(*parts).with_suffix(".py")


def test_every_package_that_was_asked_for_is_named(metadata: ConfigParser) -> None:
    named = _requirement_names(metadata["options"]["install_requires"])
    for extra in metadata["options.extras_require"].values():
        named |= _requirement_names(extra)
    assert named >= {
        "tensorflow",
        "tflite-runtime",
        "onnx",
        "tf2onnx",
        "tensorrt",
        "pycuda",
        "numpy",
        "opencv-python-headless",
    }


def test_the_edge_install_has_no_training_framework(metadata: ConfigParser) -> None:
    needed = _requirement_names(metadata["options"]["install_requires"])
    assert not needed & {"tensorflow", "keras", "torch", "jax", "numba", "scipy", "scikit-image", "matplotlib"}


def test_the_packages_are_those_on_disk(metadata: ConfigParser, folders: dict[str, Path]) -> None:
    found = [
        ".".join((name, *path.parent.relative_to(folder).parts))
        for name, folder in folders.items()
        for path in folder.rglob("__init__.py")
    ]
    assert sorted(_lines(metadata["options"]["packages"])) == sorted(found)


def test_every_file_of_a_package_is_installed(metadata: ConfigParser, folders: dict[str, Path]) -> None:
    packages = _lines(metadata["options"]["packages"])
    patterns = {
        package: [part.strip() for part in value.replace("\n", ",").split(",") if part.strip()]
        for package, value in metadata["options.package_data"].items()
    }
    left_out = []
    for name, folder in folders.items():
        for path in folder.rglob("*"):
            if not path.is_file() or path.suffix == ".py" or "__pycache__" in path.parts:
                continue
            owner = max(
                (
                    package
                    for package in packages
                    if package.split(".")[0] == name and path.is_relative_to(folder.joinpath(*package.split(".")[1:]))
                ),
                key=len,
            )
            inside = path.relative_to(folder.joinpath(*owner.split(".")[1:])).as_posix()
            # A star of setuptools does not cross a slash; that of fnmatch does.
            if not any(fnmatch(inside, one) and inside.count("/") == one.count("/") for one in patterns.get(owner, [])):
                left_out.append(str(path.relative_to(_ROOT)))
    assert left_out == []


def test_every_package_says_that_it_is_typed(folders: dict[str, Path]) -> None:
    assert all((folder / "py.typed").is_file() for folder in folders.values())


def test_the_version_is_where_setup_cfg_looks(metadata: ConfigParser, folders: dict[str, Path]) -> None:
    source, _, attribute = metadata["metadata"]["version"].removeprefix("attr:").strip().rpartition(".")
    tree = ast.parse((folders[source] / "__init__.py").read_text())
    [version] = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and [target.id for target in node.targets if isinstance(target, ast.Name)] == [attribute]
    ]
    assert re.fullmatch(r"\d+\.\d+\.\d+([ab]\d+|rc\d+)?", str(version))


def test_every_command_has_its_function(metadata: ConfigParser, folders: dict[str, Path]) -> None:
    commands = dict(re.split(r"\s*=\s*", line) for line in _lines(metadata["options.entry_points"]["console_scripts"]))
    assert {"unetplus-train", "unetplus-evaluate", "unetplus-runtime", "unetplus-export"} <= set(commands)
    for command, target in commands.items():
        module, _, function = target.partition(":")
        file = _module_file(folders, module)
        assert file.is_file(), f"{command} is {file}, which is missing"
        names = {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}
        assert function in names, f"{command} is {target}, which is missing"


def test_the_files_that_the_metadata_names_exist(metadata: ConfigParser) -> None:
    readme = metadata["metadata"]["long_description"].removeprefix("file:").strip()
    assert (_ROOT / readme).is_file()
    assert (_ROOT / metadata["metadata"]["license_files"].strip()).is_file()
