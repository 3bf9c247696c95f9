from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from unetplus_bench.endurance import page, proof, result
from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_part_holds_where_it_was_finished_and_every_claim_held_each_time(checkout: Any) -> None:
    parts = result.read_endurance(checkout() / page.FILE).parts
    assert parts["soak"].holds
    assert not parts["kill"].holds
    assert parts["kill"].failures == 2


@pytest.mark.parametrize("fields", [{"claims": {}}, {"claims": {"a": {"times": 1, "failures": 0}}, "error": "ended"}])
def test_a_part_without_a_claim_or_an_end_does_not_hold(checkout: Any, fields: dict[str, Any]) -> None:
    assert not result.read_endurance(checkout(**fields) / page.FILE).parts["kill"].holds


def test_what_was_written_is_read(checkout: Any, tmp_path: Path) -> None:
    found = result.read_endurance(checkout() / page.FILE)
    found.write(tmp_path / "again.json")
    assert result.read_endurance(tmp_path / "again.json") == found


def test_what_is_no_result_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "here.json"
    with pytest.raises(InputError, match=r"here\.json cannot be read"):
        result.read_endurance(path)
    path.write_text('{"command": 3}')
    with pytest.raises(InputError, match=r"here\.json is no result file of the endurance"):
        result.read_endurance(path)


def test_a_claim_keeps_the_first_things_that_were_found_instead() -> None:
    seen = proof.Proof()
    for number in range(30):
        seen.claim("even", number % 2 == 0, f"found {number}")
    (record,) = result.claims_of(seen).values()
    assert (record.times, record.failures) == (30, 15)
    assert record.examples[:2] == ("found 1", "found 3")


def test_the_hash_of_code_changes_with_names_and_content_of_python_files_alone(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    file = tmp_path / "inner" / "a.py"
    file.write_text("x = 1\n")
    hashes = [result.runtime_hash(tmp_path)]
    (tmp_path / "notes.txt").write_text("nothing")
    assert result.runtime_hash(tmp_path) == hashes[0]
    file.write_text("x = 2\n")
    hashes.append(result.runtime_hash(tmp_path))
    file.rename(tmp_path / "inner" / "b.py")
    hashes.append(result.runtime_hash(tmp_path))
    (tmp_path / "c.py").touch()
    hashes.append(result.runtime_hash(tmp_path))
    assert len(set(hashes)) == len(hashes)
