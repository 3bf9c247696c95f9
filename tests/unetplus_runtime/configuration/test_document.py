from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import CliRunner

from unetplus_runtime.command import main
from unetplus_runtime.configuration import ServeSettings, load
from unetplus_runtime.configuration.changes import LIVE
from unetplus_runtime.configuration.fields import CAMERA_MODELS, describe, sections
from unetplus_runtime.configuration.options import settings_options

if TYPE_CHECKING:
    from pydantic import BaseModel

    from .conftest import Write

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"
TEXT = PAGE.read_text(encoding="utf-8")


def rows(section: str, model: type[BaseModel]) -> list[str]:
    """Return the rows of a table of fields."""
    return [
        f"| `{f'{section}.{field.name}'.removeprefix('.')}` | {field.kind} | "
        f"{f'`{field.default}`' if field.default else 'needed'} | {field.meaning} |"
        for field in describe(model)
        if (section, field.name) != ("camera", "camera")
    ]


def test_the_tables_are_those_of_the_settings() -> None:
    expected = rows("", ServeSettings)
    for section, model in sections().items():
        expected += rows(section, model)
    for model in CAMERA_MODELS.values():
        expected += rows("camera", model)
    _, _, tables = TEXT.partition("\n## All settings\n")
    assert [line for line in tables.splitlines() if line.startswith("| `")] == expected


def test_the_file_of_the_page_is_right(write: Write) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    loaded = load(write(example), {}, {})
    written = [field for field, origin in loaded.origin.items() if origin.startswith("file")]
    assert len(written) == len(re.findall(r"^\w+ = ", example, re.MULTILINE))


def test_the_problems_of_the_page_are_told_so(write: Write) -> None:
    [said] = re.findall(r"```\n(unetplus\.toml:.*?)```", TEXT, re.DOTALL)
    file = write('\n\n[camera]\ncamera = "simulated"\n\n\nrate = 0\n[record]\nlabel = true\n')
    result = CliRunner().invoke(main, ["config", "check", str(file)])
    assert result.stderr.replace(str(file), file.name) == said


def test_the_page_names_every_option_and_all_that_is_taken_over() -> None:
    @settings_options
    def command() -> None: ...

    options = {flag for option in command.__click_params__ for flag in option.opts}  # type: ignore[attr-defined]
    assert options <= set(re.findall(r"(--[\w-]+)", TEXT))
    _, _, running = TEXT.partition("\n## While the daemon runs\n")
    assert re.findall(r"`(\w+)`", running.partition(";")[0]) == list(LIVE)
