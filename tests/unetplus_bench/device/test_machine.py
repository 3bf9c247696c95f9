from __future__ import annotations

import os
import time

import pytest

from unetplus_bench.device.machine import AbsentError, Machine, end, gather


def test_text_loses_white_space_and_zero_bytes_at_its_ends(lay):
    root = lay({"proc/device-tree/model": "\tRaspberry Pi 5\0"})
    assert Machine(root).text("proc/device-tree/model") == "Raspberry Pi 5"


def test_a_missing_file_is_named_as_it_is_on_the_machine(lay):
    with pytest.raises(AbsentError, match=r"^/sys/no/such: No such file or directory$"):
        Machine(lay({})).text("sys/no/such")


def test_what_cannot_be_read_is_absent_with_its_reason(lay):
    with pytest.raises(AbsentError, match=r"^/sys/folder: Is a directory$"):
        Machine(lay({"sys/folder/file": ""})).number("sys/folder")


def test_bytes_that_are_no_text_are_read(lay):
    root = lay({"file": ""})
    (root / "file").write_bytes(b"\xff\xfe12")
    assert Machine(root).text("file").endswith("12")


def test_a_word_is_no_number(lay):
    with pytest.raises(AbsentError, match="no number"):
        Machine(lay({"file": "unknown"})).number("file")


def test_what_cannot_be_read_is_none_where_that_is_asked_for(lay):
    machine = Machine(lay({"word": "unknown", "number": "7\n"}))
    assert machine.text_or_none("nothing") is None
    assert [machine.number_or_none(name) for name in ("nothing", "word", "number")] == [None, None, 7]


def test_paths_are_found_in_the_order_of_their_numbers(lay):
    root = lay({f"sys/cpu{number}/online": 1 for number in (10, 2, 1)})
    assert Machine(root).find("sys/cpu*/online") == ["sys/cpu1/online", "sys/cpu2/online", "sys/cpu10/online"]


def test_commands_are_those_below_the_root_alone(lay):
    assert Machine().command("sh")
    with pytest.raises(AbsentError, match="sh is not installed"):
        Machine(lay({})).command("sh")


def test_a_command_returns_what_it_prints(lay, prints):
    assert Machine(lay({}, {"tool": prints("NV Power Mode: MAXN\n0")})).run("tool") == "NV Power Mode: MAXN\n0\n"


def test_a_command_that_fails_says_why(lay, prints):
    machine = Machine(lay({}, {"tool": prints("Error: as a root user\nmore", code=1)}))
    with pytest.raises(AbsentError, match=r"^tool failed \(Error: as a root user\)$"):
        machine.run("tool")


def test_a_command_that_fails_without_a_word_gives_its_exit_code(lay):
    with pytest.raises(AbsentError, match=r"^tool failed \(exit code 3\)$"):
        Machine(lay({}, {"tool": "exit 3"})).run("tool")


def test_complaints_do_not_name_the_users_folder(lay, prints, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    machine = Machine(lay({}, {"tool": prints("/home/ann/.config is broken", code=1)}))
    with pytest.raises(AbsentError, match=r"\(~/.config is broken\)"):
        machine.run("tool")


def test_an_exit_code_may_be_an_answer(lay, prints):
    assert Machine(lay({}, {"tool": prints("none", code=1)})).run("tool", accept=(0, 1)) == "none\n"


def is_running(number: int) -> bool:
    try:
        with open(f"/proc/{number}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends(number: int) -> bool:
    for _ in range(500):
        if not is_running(number):
            return True
        time.sleep(0.01)
    return False


def test_a_command_that_takes_too_long_is_absent(lay):
    # Its child would hold the output open.
    with pytest.raises(AbsentError, match=r"tool took more than 0.2 s"):
        Machine(lay({}, {"tool": "sleep 600; true"})).run("tool", seconds=0.2)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are looked for in /proc")  # noqa: PTH112
def test_a_command_is_ended_with_its_children(lay):
    root = lay({}, {"tool": 'sleep 600 & echo $! > "$(dirname "$0")/new"; cd "$(dirname "$0")"; mv new child; wait'})
    child = root / "usr/sbin/child"
    with Machine(root).start("tool") as process:
        while not child.exists():
            time.sleep(0.01)
        end(process)
    assert ends(int(child.read_text()))


def test_the_first_line_of_an_endless_command_is_returned_and_the_command_ended(lay):
    root = lay({}, {"tool": 'echo $$ > "$(dirname "$0")/self"; while :; do echo RAM 1/2MB; done'})
    assert Machine(root).first_line("tool") == "RAM 1/2MB"
    assert ends(int((root / "usr/sbin/self").read_text()))


def test_an_endless_command_that_prints_nothing_is_absent(lay):
    with pytest.raises(AbsentError, match="printed nothing"):
        Machine(lay({}, {"tool": "sleep 600"})).first_line("tool", seconds=0.2)


def test_a_file_that_is_no_program_is_absent(lay):
    root = lay({"usr/sbin/tool": "\x7fELF no program"})
    (root / "usr/sbin/tool").chmod(0o755)
    with pytest.raises(AbsentError, match=r"^tool: "):
        Machine(root).run("tool")


def test_facts_are_gathered_and_the_absent_have_reasons(lay):
    def broken(machine):
        return int("garbage")

    facts, absent = gather(
        Machine(lay({"file": "5"})),
        {"number": lambda machine: machine.number("file"), "gone": lambda machine: machine.text("x"), "bad": broken},
    )
    assert facts == {"number": 5}
    assert absent == {"gone": "/x: No such file or directory", "bad": "what was read makes no sense (ValueError)"}


def test_a_fact_that_json_cannot_hold_is_absent(lay):
    facts, absent = gather(Machine(lay({})), {"load": lambda machine: [float("nan")]})
    assert facts == {}
    assert list(absent) == ["load"]
