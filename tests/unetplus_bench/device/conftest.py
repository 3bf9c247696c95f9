"""Machines that are not here: their files and commands, laid out below a folder as the real ones have them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SERIAL = "1424623081234"
ADDRESS = "48:b0:2d:12:34:56"
HOST = "anns-bench"
SECRETS = (SERIAL, ADDRESS, HOST)
"""What a real machine's files have, and no result file may."""

TEGRASTATS_LINE = (
    "10-08-2026 04:35:02 RAM 6712/7620MB (lfb 12x4MB) SWAP 369/3810MB (cached 8MB) "
    "CPU [38%@1497,2%@729,1%@729,0%@729,1%@729,0%@729] EMC_FREQ 61%@2133 GR3D_FREQ 99%@[612] NVDEC off NVJPG off "
    "VIC off OFA off APE 200 cpu@57.125C soc2@55.093C soc0@56.625C gpu@58.625C tj@58.312C soc1@55.937C "
    "VDD_IN 16321mW/11204mW VDD_CPU_GPU_CV 7104mW/4944mW VDD_SOC 3120mW/3659mW"
)
"""Of a Jetson Orin Nano Super with JetPack 6.2."""


def lay_out(root, files, commands=None):
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(text))
    for name, script in (commands or {}).items():
        file = root / "usr/sbin" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
    return root


@pytest.fixture
def lay(tmp_path):
    """Lays files, and commands as the scripts that stand for them, below a folder, and returns that."""

    def put(files, commands=None, root=tmp_path / "machine"):
        root.mkdir(parents=True, exist_ok=True)
        return lay_out(root, files, commands)

    return put


def prints(text, code=0):
    return f"printf '%s\\n' {shlex.quote(text)}; exit {code}"


@pytest.fixture(name="prints")
def _prints():
    """Returns the script of a command that prints a text and leaves with a code."""
    return prints


def policy(path, processors, driver, governor, lowest, highest, now, **more):
    folder = f"sys/devices/system/cpu/cpufreq/{path}"
    return {
        f"{folder}/affected_cpus": processors,
        f"{folder}/scaling_driver": driver,
        f"{folder}/scaling_governor": governor,
        f"{folder}/scaling_min_freq": lowest,
        f"{folder}/scaling_max_freq": highest,
        f"{folder}/cpuinfo_max_freq": more.pop("hardware", highest),
        f"{folder}/scaling_cur_freq": now,
        **{f"{folder}/{name}": value for name, value in more.items()},
    }


def zone(number, kind, milli, **trips):
    folder = f"sys/class/thermal/thermal_zone{number}"
    files = {f"{folder}/type": kind, **({f"{folder}/temp": milli} if milli is not None else {})}
    for index, (trip, limit) in enumerate(trips.items()):
        files |= {f"{folder}/trip_point_{index}_type": trip, f"{folder}/trip_point_{index}_temp": limit}
    return files


def process_files(allowed):
    return {
        "proc/loadavg": "0.52 0.58 0.59 2/345 12345",
        "proc/self/status": f"Name:\tpython\nCpus_allowed:\tff\nCpus_allowed_list:\t{allowed}\n",
        "proc/self/stat": "77 (a) b) (c) R 1 77 77 0 -1 4194304 97 0 0 0 400 100 30 20 20 0 1 0 2498100 3133440 350",
        "proc/stat": "cpu  10000 500 2500 80000 1000 100 400 0 0 0\ncpu0 1 2 3 4 5 6 7 0 0 0\n",
        "proc/meminfo": "MemTotal:        7802888 kB\nMemAvailable:    5000000 kB\nSwapTotal:       3901440 kB\n",
        "proc/sys/kernel/hostname": HOST,
        "etc/hostname": HOST,
        "sys/class/net/eth0/address": ADDRESS,
    }


@pytest.fixture
def jetson_orin(tmp_path):
    """A Jetson Orin Nano Super, JetPack 6.2, in its mode of 25 W, asked by a user who is not root."""
    features = (
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp uscat"
    )
    block = (
        "processor\t: {}\nBogoMIPS\t: 62.50\nFeatures\t: " + features + "\nCPU implementer\t: 0x41\n"
        "CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd42\nCPU revision\t: 1\n"
    )
    rails = {
        "name": "ina3221",
        **{"in1_label": "VDD_IN", "in1_input": 4984, "curr1_input": 1856},
        **{"in2_label": "VDD_CPU_GPU_CV", "in2_input": 4984, "curr2_input": 312},
        **{"in3_label": "VDD_SOC", "in3_input": 4976, "curr3_input": 544},
        **{"in7_label": "sum of shunt voltages", "in7_input": 13},
    }
    files = {
        **process_files("0-5"),
        "proc/cpuinfo": "\n".join(block.format(number) for number in range(6)),
        "proc/sys/kernel/osrelease": "5.15.148-tegra",
        "proc/sys/kernel/arch": "aarch64",
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
        "proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005\0nvidia,tegra234\0",
        "proc/device-tree/serial-number": f"{SERIAL}\0",
        "etc/os-release": 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\nNAME="Ubuntu"\n',
        "etc/nv_tegra_release": (
            "# R36 (release), REVISION: 4.4, GCID: 41062509, BOARD: generic, EABI: aarch64, "
            "DATE: Mon Jun 16 16:07:13 UTC 2025\n"
        ),
        "etc/nvpmodel.conf": (
            "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=1 NAME=25W >\n"
            "< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n< PM_CONFIG DEFAULT=1 >\n"
        ),
        "var/lib/nvpmodel/status": "pmode:0001 fmode:fan_mode_quiet",
        **policy("policy0", "0 1 2 3", "tegra194", "schedutil", 729600, 1344000, 729600, hardware=1728000),
        **policy("policy4", "4 5", "tegra194", "schedutil", 729600, 1344000, 1190400, hardware=1728000),
        "sys/class/devfreq/17000000.gpu/governor": "nvhost_podgov",
        "sys/class/devfreq/17000000.gpu/min_freq": 306000000,
        "sys/class/devfreq/17000000.gpu/max_freq": 918000000,
        "sys/class/devfreq/17000000.gpu/cur_freq": 306000000,
        **{f"sys/class/hwmon/hwmon1/{name}": value for name, value in rails.items()},
        "sys/class/hwmon/hwmon3/name": "soctherm_oc",
        **{f"sys/class/hwmon/hwmon3/oc{number}_event_cnt": count for number, count in ((1, 0), (2, 15), (3, 37))},
        **zone(0, "cpu-thermal", 49468, active=51000, passive=99000, critical=104500),
        **zone(1, "gpu-thermal", 50125, passive=99000),
        **zone(2, "cv0-thermal", None),
        "sys/class/thermal/cooling_device0/type": "pwm-fan",
        "sys/class/thermal/cooling_device0/cur_state": 1,
        "sys/class/thermal/cooling_device1/type": "thermal-cpufreq-0",
        "sys/class/thermal/cooling_device1/cur_state": 0,
    }
    commands = {
        "nvpmodel": prints("NV Power Mode: 25W\n1"),
        "jetson_clocks": prints("Error: Run this script(/usr/bin/jetson_clocks) as a root user", code=1),
        "tegrastats": f"while :; do printf '%s\\n' '{TEGRASTATS_LINE}'; sleep 1; done",
        "nvidia-smi": 'for word; do case "$word" in --query-gpu=*) fields=${word#*=};; esac; done\n'
        "printf '%s' 'Orin (nvgpu)'; echo \"$fields\" | tr -cd , | sed 's/,/, [N\\/A]/g'; echo",
    }
    return lay_out(tmp_path / "orin", files, commands)


@pytest.fixture
def raspberry_pi(tmp_path):
    """A Raspberry Pi 5 that has been under voltage since it was started."""
    features = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
    block = (
        "processor\t: {}\nBogoMIPS\t: 108.00\nFeatures\t: " + features + "\nCPU implementer\t: 0x41\n"
        "CPU architecture: 8\nCPU variant\t: 0x4\nCPU part\t: 0xd0b\nCPU revision\t: 1\n"
    )
    last = f"Revision\t: d04170\nSerial\t\t: {SERIAL}\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n"
    files = {
        **process_files("0-3"),
        "proc/cpuinfo": "\n".join([*(block.format(number) for number in range(4)), last]),
        "proc/sys/kernel/osrelease": "6.6.31+rpt-rpi-2712",
        "proc/sys/kernel/arch": "aarch64",
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "proc/device-tree/compatible": "raspberrypi,5-model-b\0brcm,bcm2712\0",
        "proc/device-tree/serial-number": f"{SERIAL}\0",
        "proc/pressure/cpu": "some avg10=1.25 avg60=2.50 avg300=0.75 total=12288489619\n",
        "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        **policy("policy0", "0 1 2 3", "cpufreq-dt", "ondemand", 1500000, 2400000, 1600000),
        **zone(0, "cpu-thermal", 61700, critical=110000),
        "sys/devices/platform/soc/soc:firmware/get_throttled": "50000\n",
    }
    return lay_out(tmp_path / "pi", files)


@pytest.fixture
def x86_server(tmp_path):
    """Two packages with one core and two threads each, of an Intel server; the process may use 1.5 processors."""
    flags = "fpu fma avx f16c avx2 avx512f avx512_vnni amx_bf16 amx_tile amx_int8"
    block = (
        "processor\t: {}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n"
        "model name\t: Intel(R) Xeon(R) Gold 6430\nstepping\t: 8\ncpu MHz\t\t: {}\nflags\t\t: " + flags + "\n"
    )
    cpu = "sys/devices/system/cpu"
    files = {
        **process_files("0,2-3"),
        "proc/cpuinfo": "\n".join(block.format(number, 2100 + 100 * number) for number in range(4)),
        "proc/sys/kernel/osrelease": "6.8.0-45-generic",
        "proc/sys/kernel/arch": "x86_64",
        "etc/os-release": 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\n',
        "sys/class/dmi/id/sys_vendor": "Dell Inc.",
        "sys/class/dmi/id/product_name": "PowerEdge R760",
        "sys/class/dmi/id/product_serial": SERIAL,
        "proc/self/cgroup": "0::/bench.slice/job\n",
        "sys/fs/cgroup/bench.slice/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/bench.slice/job/cpu.max": "max 100000\n",
        "sys/fs/cgroup/bench.slice/job/cpu.stat": "usage_usec 1\nnr_periods 9\nnr_throttled 3\nthrottled_usec 77\n",
        "sys/fs/cgroup/bench.slice/job/memory.max": "2147483648\n",
        f"{cpu}/intel_pstate/no_turbo": 0,
        **zone(0, "x86_pkg_temp", 71000, passive=0),
        "sys/class/powercap/intel-rapl:0/name": "package-0",
        "sys/class/powercap/intel-rapl:0/energy_uj": 5_000_000,
        "sys/class/powercap/intel-rapl:0/max_energy_range_uj": 262_143_328_850,
        "sys/class/powercap/intel-rapl:0:0/name": "dram",
        "sys/class/powercap/intel-rapl:0:0/energy_uj": 1_000_000,
        "sys/class/powercap/intel-rapl:0:0/max_energy_range_uj": 65_712_999_613,
        "sys/class/powercap/intel-rapl:0:1/name": "core",
        "sys/class/powercap/intel-rapl:0:1/energy_uj": 4_000_000,
        "sys/class/powercap/intel-rapl:1/name": "psys",
        "sys/class/powercap/intel-rapl:1/energy_uj": 9_000_000,
        "sys/class/powercap/intel-rapl-mmio:0/name": "package-0",
        "sys/class/powercap/intel-rapl-mmio:0/energy_uj": 5_000_000,
    }
    for number in range(4):
        files |= {
            f"{cpu}/cpu{number}/topology/physical_package_id": number // 2,
            f"{cpu}/cpu{number}/topology/core_id": 0,
            f"{cpu}/cpu{number}/thermal_throttle/core_throttle_count": 10 + number,
            f"{cpu}/cpu{number}/thermal_throttle/package_throttle_count": 2,
            f"{cpu}/cpu{number}/thermal_throttle/core_throttle_total_time_ms": 50,
            f"{cpu}/cpu{number}/cache/index0/level": 1,
            f"{cpu}/cpu{number}/cache/index0/type": "Data",
            f"{cpu}/cpu{number}/cache/index0/size": "48K",
            f"{cpu}/cpu{number}/cache/index0/shared_cpu_list": f"{number // 2 * 2}-{number // 2 * 2 + 1}",
            f"{cpu}/cpu{number}/cache/index3/level": 3,
            f"{cpu}/cpu{number}/cache/index3/type": "Unified",
            f"{cpu}/cpu{number}/cache/index3/size": "60M" if number < 2 else "61440K",
            f"{cpu}/cpu{number}/cache/index3/shared_cpu_list": f"{number // 2 * 2}-{number // 2 * 2 + 1}",
            **policy(
                f"policy{number}",
                number,
                "intel_pstate",
                "powersave",
                800000,
                3400000,
                2100000 + 100000 * number,
                energy_performance_preference="balance_performance",
            ),
        }
    return lay_out(tmp_path / "server", files)


@pytest.fixture
def secrets() -> tuple[str, ...]:
    """What the machines' files have of people and things, and no result file may."""
    return SECRETS


@pytest.fixture
def tegrastats_line() -> str:
    """What the Orin's tegrastats prints."""
    return TEGRASTATS_LINE


@pytest.fixture
def write():
    """Changes one file of a machine."""

    def change(root: Path, path: str, text: object) -> None:
        lay_out(root, {path: text})

    return change
