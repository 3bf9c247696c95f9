from __future__ import annotations

import getpass
import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unetplus_bench.device import device_facts, warnings_about
from unetplus_bench.device.machine import AbsentError
from unetplus_bench.results import BenchmarkResult


def test_a_jetson_is_described(jetson_orin):
    facts = device_facts(jetson_orin)
    assert facts["board"] == "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
    assert facts["cpu"]["model"] == "Cortex-A78AE"
    assert facts["jetson"]["release"] == "36.4.4"
    assert facts["jetson"]["power_mode"]["name"] == "25W"
    assert facts["jetson"]["rail_watts"]["VDD_IN"] == pytest.approx(4.984 * 1.856)
    assert facts["gpus"] == [{"name": "Orin (nvgpu)"}]


def test_what_a_jetson_keeps_to_root_is_absent_with_the_reason(jetson_orin):
    facts = device_facts(jetson_orin)
    assert "clocks" not in facts["jetson"]
    assert facts["absent"]["jetson.clocks"].startswith("jetson_clocks failed (Error: Run this script")


def test_a_raspberry_pi_is_described(raspberry_pi):
    facts = device_facts(raspberry_pi)
    assert facts["board"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert facts["heat"]["raspberry_pi"]["since_start"] == ["under-voltage", "throttled"]
    assert facts["gpus"] == []
    assert facts["absent"]["gpus"] == "nvidia-smi is not installed"
    assert facts["absent"]["jetson"] == "this is no Jetson"


def test_a_server_is_described(x86_server):
    facts = device_facts(x86_server)
    assert facts["board"] == "Dell Inc. PowerEdge R760"
    assert facts["cpu"]["cores"]["usable"] == 1.5
    assert facts["heat"]["throttle_counts"]["core_throttle_count"] == 46


@pytest.mark.parametrize("machine", ["jetson_orin", "raspberry_pi", "x86_server"])
def test_nothing_of_people_and_single_things_is_told(machine, secrets, request):
    text = json.dumps(device_facts(request.getfixturevalue(machine)))
    assert not [secret for secret in secrets if secret in text]


def test_nothing_of_people_is_told_of_this_machine():
    facts = device_facts()
    home = str(Path.home())
    text = json.dumps({**facts, "libraries": {}})
    words = {word.strip('",:[]{}()') for word in text.split()}
    assert socket.gethostname() not in words
    assert getpass.getuser() not in words
    assert home not in text or len(home) == 1


def test_this_machine_is_described():
    facts = device_facts()
    assert facts["cpu"]["cores"]["allowed"] == len(os.sched_getaffinity(0))
    assert os.uname().release.startswith(facts["system"]["kernel"])
    assert facts["libraries"]["numpy"] == np.__version__


def test_facts_fill_a_result_file_and_come_back_the_same(jetson_orin):
    facts = device_facts(jetson_orin)
    result = BenchmarkResult(
        command="x", began="2026-11-22T00:00:00Z", ended="2026-11-22T00:00:01Z", device=facts, rows=()
    )
    assert BenchmarkResult.model_validate_json(result.model_dump_json()).device == facts


def test_a_fact_is_there_or_absent_never_both(jetson_orin, raspberry_pi, x86_server):
    for root in (jetson_orin, raspberry_pi, x86_server):
        facts = device_facts(root)
        for path in facts["absent"]:
            value = facts
            for key in path.split("."):
                value = value.get(key) if isinstance(value, dict) else None
            assert not value, path


def test_an_empty_machine_has_no_facts_and_no_error(tmp_path):
    facts = device_facts(tmp_path)
    there = {name for name in ("system", "cpu", "load", "heat") if facts[name]}
    assert there == {"system"}
    assert facts["system"] == {"container": None}


@pytest.mark.parametrize("machine", ["jetson_orin", "raspberry_pi", "x86_server"])
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=st.one_of(st.binary(max_size=80), st.sampled_from([b"nan", b"-1", b"", b"\x00", b"1e999", b": : :"])))
def test_no_content_of_any_file_is_an_error(machine, request, monkeypatch, content):
    root = request.getfixturevalue(machine)
    # The commands of a broken machine are tested with their rooms; here they would only take time.
    monkeypatch.setattr("unetplus_bench.device.machine.Machine.command", _not_installed)
    for folder, _, names in os.walk(root):
        for name in names:
            if "/usr/sbin" not in folder:
                (Path(folder) / name).write_bytes(content)
    facts = device_facts(root)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert isinstance(warnings_about(facts, facts), tuple)


def _not_installed(machine, name):
    raise AbsentError(f"{name} is not installed")
