from __future__ import annotations

from typing import Any

import pytest

from unetplus_bench.frame_path.page.committed import MAKERS, commands, part, read
from unetplus_edge.errors import InputError


@pytest.mark.parametrize("name", MAKERS)
def test_a_missing_file_is_named_with_the_command_that_makes_it(name: str, made_results: Any) -> None:
    with pytest.raises(InputError, match=rf"{name}\.json cannot be read .*; measure it with python -m {MAKERS[name]}"):
        read(made_results(without=name), name)


def test_a_damaged_file_is_refused(made_results: Any) -> None:
    results = made_results()
    (results / "frame_path" / "lanes.json").write_text("{")
    with pytest.raises(InputError, match=r"lanes\.json is no JSON"):
        read(results, "lanes")


def test_a_part_that_was_left_out_is_named(made_results: Any) -> None:
    results = made_results()
    (results / "frame_path" / "path.json").write_text("{}")
    with pytest.raises(InputError, match=r"path\.json has no part sizes"):
        part(results, "sizes")


def test_every_command_is_shown_with_its_machine_and_commit(made_results: Any) -> None:
    text = commands(made_results())
    for name, module in MAKERS.items():
        machine = "Another CPU" if name == "path_xeon" else "Made-up CPU"
        head = f"`frame_path/{name}.json`, {machine}, 2 cores, commit 0123456789ab:"
        assert f"{head}\n\n```sh\npython -m {module} --out here.json\n```" in text


def test_what_disturbed_the_machine_is_said(made_results: Any) -> None:
    text = commands(made_results(lanes={"warnings": ["it was hot", "others worked"], "commit": None}))
    assert "`frame_path/lanes.json`, Made-up CPU, 2 cores:\n\n> it was hot\n>\n> others worked\n\n```sh" in text
