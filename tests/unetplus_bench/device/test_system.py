from __future__ import annotations

import platform

import pytest

from unetplus_bench.device import system
from unetplus_bench.device.machine import AbsentError, Machine


def test_a_board_is_named_by_its_device_tree(jetson_orin, raspberry_pi):
    name = "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
    assert system.board(Machine(jetson_orin)) == name
    assert system.board(Machine(raspberry_pi)) == "Raspberry Pi 5 Model B Rev 1.0"


def test_a_computer_is_named_by_maker_and_model(x86_server):
    assert system.board(Machine(x86_server)) == "Dell Inc. PowerEdge R760"


def test_system_and_kernel_are_named(raspberry_pi):
    machine = Machine(raspberry_pi)
    assert system.distribution(machine) == "Debian GNU/Linux 12 (bookworm)"
    assert system.kernel(machine) == "6.6.31"
    assert system.architecture(machine) == "aarch64"


def test_the_architecture_of_this_machine_is_pythons():
    assert system.architecture(Machine()) == platform.machine()


@pytest.mark.parametrize(("answer", "code", "machine"), [("kvm", 0, "kvm"), ("none", 1, None)])
def test_virtual_machines_are_told_by_systemd(lay, prints, answer, code, machine):
    assert system.virtual_machine(Machine(lay({}, {"systemd-detect-virt": prints(answer, code)}))) == machine


@pytest.mark.parametrize(("flags", "machine"), [("fpu hypervisor", "unnamed"), ("fpu", None)])
def test_without_systemd_an_x86_processor_tells_of_a_hypervisor(lay, flags, machine):
    root = lay({"proc/cpuinfo": f"processor : 0\nflags : {flags}\n"})
    assert system.virtual_machine(Machine(root)) == machine


def test_without_systemd_arm_processors_tell_nothing(raspberry_pi):
    with pytest.raises(AbsentError):
        system.virtual_machine(Machine(raspberry_pi))


@pytest.mark.parametrize(("mark", "kind"), [(".dockerenv", "docker"), ("run/.containerenv", "podman"), ("x", None)])
def test_containers_are_told_by_their_marks(lay, mark, kind):
    assert system.container(Machine(lay({mark: ""}))) == kind


def test_memory_is_in_bytes(x86_server):
    assert system.memory(Machine(x86_server)) == {
        "total": 7802888 * 1024,
        "available": 5_000_000 * 1024,
        "swap": 3901440 * 1024,
        "limit": 2 << 30,
    }
