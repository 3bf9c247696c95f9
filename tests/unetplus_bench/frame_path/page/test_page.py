from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from unetplus_bench import documents
from unetplus_bench.frame_path.page import RENDERERS
from unetplus_bench.frame_path.page.committed import MAKERS

PAGE = Path(__file__).parents[4] / "docs" / "fast-path.md"


def test_the_page_has_every_block_once() -> None:
    assert sorted(re.findall(r"<!-- numbers: ([\w-]+) -->", PAGE.read_text())) == sorted(RENDERERS)


@pytest.mark.parametrize("name", RENDERERS)
def test_every_block_is_made_by_the_documents(name: str, made_results: Any) -> None:
    results = made_results()
    text = documents.rendered(f"<!-- numbers: {name} -->\nold\n<!-- /numbers -->", results)
    assert text == f"<!-- numbers: {name} -->\n{RENDERERS[name](results)}\n<!-- /numbers -->"


@pytest.mark.parametrize("name", MAKERS)
def test_each_file_is_made_by_a_command_that_there_is(name: str) -> None:
    package = Path(documents.__file__).parent
    module = package.parent.joinpath(*MAKERS[name].split("."))
    assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file()
