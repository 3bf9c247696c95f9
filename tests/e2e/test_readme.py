"""What the README says, done."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click
import cv2
import pytest

from unetplus_edge.datasets.specimen import Specimen, simulate

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _commands(page: Path) -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    # Variables of a shell or a queue stand for numbers.
    joined = [re.sub(r"\$\w+", "1", block.replace("\\\n", " ")) for block in blocks]
    lines = [shlex.split(line, comments=True) for block in joined for line in block.splitlines()]
    # What a shell writes to a file is not the program's.
    lines = [words[: words.index(">")] if ">" in words else words for words in lines]
    return [words for words in lines if words and words[0].startswith("unetplus-")]


@pytest.mark.parametrize(
    "words",
    [pytest.param(words, id=f"{page.name}: {' '.join(words)}") for page in PAGES for words in _commands(page)],
)
def test_every_command_of_the_documents_is_one_that_its_program_takes(words: list[str]) -> None:
    (entry,) = entry_points(group="console_scripts", name=words[0])
    command, arguments = entry.load(), words[1:]
    while isinstance(command, click.Group):
        if not arguments or arguments[0] not in command.commands:
            # What the command is without a subcommand's name.
            arguments = [{"unetplus-bench": "run"}.get(words[0], "convert"), *arguments]
        command, arguments = command.commands[arguments[0]], arguments[1:]
    command.make_context(words[0], arguments, resilient_parsing=False).close()


def test_the_python_of_the_readme_runs_as_shown() -> None:
    failed, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert (failed, tried > 0) == (0, True)


def test_segmenting_a_folder_writes_what_the_readme_lists(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), simulate(Specimen(seed=2)).image)
    (command,) = [words for words in _commands(ROOT / "README.md") if words[:2] == ["unetplus-runtime", "segment"]]
    program = Path(sys.executable).with_name(command[0])
    subprocess.run([program, *command[1:]], cwd=tmp_path, check=True)
    listed = {"a_labels.tif", "a_overlay.png", "a_nuclei.csv", "summary.csv"}
    assert {path.name for path in (tmp_path / "results").iterdir()} == listed


def test_every_file_that_a_document_shows_or_links_to_exists() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
