from __future__ import annotations

import pytest

from unetplus_bench.device.cgroup import cpu_quota, memory_limit, times_held_back
from unetplus_bench.device.machine import AbsentError, Machine


def test_the_tightest_limit_of_all_parents_counts(x86_server, write):
    assert cpu_quota(Machine(x86_server)) == 1.5
    write(x86_server, "sys/fs/cgroup/bench.slice/job/cpu.max", "50000 100000")
    assert cpu_quota(Machine(x86_server)) == 0.5


def test_a_container_that_sees_its_own_group_as_the_root_is_limited(lay):
    root = lay({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000"})
    assert cpu_quota(Machine(root)) == 2.0


def test_version_1_is_read_where_the_path_is_one_of_the_host(lay):
    root = lay(
        {
            "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/docker/abc\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": 300000,
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": 100000,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": 1073741824,
        }
    )
    assert cpu_quota(Machine(root)) == 3.0
    assert memory_limit(Machine(root)) == 1 << 30


def test_a_limit_that_is_none_is_none(lay):
    root = lay(
        {
            "proc/self/cgroup": "2:memory:/\n1:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": -1,
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": 100000,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": 9223372036854771712,
        }
    )
    assert (cpu_quota(Machine(root)), memory_limit(Machine(root))) == (None, None)


def test_no_control_groups_are_no_limit(lay):
    assert (cpu_quota(Machine(lay({}))), memory_limit(Machine(lay({})))) == (None, None)


def test_memory_is_limited_by_the_group(x86_server):
    assert memory_limit(Machine(x86_server)) == 2 << 30


def test_times_held_back_are_the_kernels_count(x86_server):
    assert times_held_back(Machine(x86_server)) == 3


def test_times_that_are_not_counted_are_absent(lay):
    with pytest.raises(AbsentError):
        times_held_back(Machine(lay({})))
