"""Lines that real boards printed; the numbers beside them are read off by eye."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetplus_bench.device.machine import AbsentError
from unetplus_bench.device.tegrastats import parse_tegrastats

# Jetson TX2, JetPack 3: https://github.com/gustavz/realtime_object_detection/issues/24
TX2 = (
    "RAM 1685/7854MB (lfb 1044x4MB) SWAP 278/8192MB (cached 23MB) "
    "CPU [4%@346,0%@344,0%@345,1%@345,0%@345,2%@345] EMC_FREQ 16%@102 GR3D_FREQ 36%@140 APE 150 MTS fg 0% bg 0% "
    "BCPU@41C MCPU@41C GPU@39C PLL@41C Tboard@37C Tdiode@37.25C PMIC@100C thermal@39.9C "
    "VDD_IN 1776/1853 VDD_CPU 231/231 VDD_GPU 154/154 VDD_SOC 386/385 VDD_WIFI 38/38 VDD_DDR 250/288"
)
# Jetson TX2 with two cores off, JetPack 4.6: https://github.com/rbonghi/jetson_stats/issues/187
TX2_4 = (
    "RAM 1689/3825MB (lfb 339x4MB) SWAP 0/1913MB (cached 0MB) CPU [3%@345,off,off,0%@345,1%@345,1%@345] EMC_FREQ 0% "
    "GR3D_FREQ 0% PLL@50.5C MCPU@50.5C PMIC@50C GPU@50C BCPU@50.5C thermal@50.3C"
)
# Jetson Nano, JetPack 4: https://github.com/evanmayer/effex/issues/12
NANO = (
    "RAM 1464/3964MB (lfb 214x4MB) SWAP 0/1982MB (cached 0MB) IRAM 0/252kB(lfb 252kB) "
    "CPU [90%@1479,16%@1479,0%@1479,9%@1479] EMC_FREQ 6%@1600 GR3D_FREQ 7%@768 APE 25 PLL@28C CPU@32C PMIC@50C "
    "GPU@28.5C AO@37C thermal@30.25C POM_5V_IN 2746/2911 POM_5V_GPU 159/161 POM_5V_CPU 796/989"
)
# Jetson AGX Xavier, JetPack 4, whose rails bear the names of units.
AGX_XAVIER = (
    "RAM 721/31927MB (lfb 7291x4MB) SWAP 0/15963MB (cached 0MB) "
    "CPU [2%@1190,0%@1190,0%@1190,0%@1190,off,off,off,off] EMC_FREQ 0%@665 GR3D_FREQ 0%@318 APE 150 MTS fg 0% bg 0% "
    "AO@37.5C GPU@37.5C Tdiode@40C PMIC@100C AUX@36C CPU@37.5C thermal@36.9C Tboard@37C "
    "GPU 0/0 CPU 311/311 SOC 932/932 CV 0/0 VDDRQ 621/621 SYS5V 1482/1482"
)
# Jetson Xavier NX, JetPack 5.1.2.
XAVIER_NX = (
    "07-09-2024 13:31:31 RAM 3168/6851MB (lfb 2x4MB) SWAP 161/3426MB (cached 0MB) "
    "CPU [23%@1397,17%@1192,16%@1190,13%@1190,23%@1190,10%@1190] EMC_FREQ 2%@204 GR3D_FREQ 0%@[114] VIC_FREQ 115 "
    "APE 150 AUX@45C CPU@46.5C thermal@45.6C AO@45C GPU@45.5C PMIC@50C "
    "VDD_IN 2763mW/2846mW VDD_CPU_GPU_CV 650mW/670mW VDD_SOC 650mW/711mW"
)
# Jetson AGX Orin, JetPack 5, with units that are off.
AGX_ORIN = (
    "04-11-2025 10:36:27 RAM 4321/62801MB (lfb 1759x4MB) SWAP 19/31400MB (cached 0MB) "
    "CPU [0%@729,0%@729] EMC_FREQ 0%@2133 GR3D_FREQ 0%@[0,0] VIC_FREQ 729 APE 174 CV0@-256C CPU@44.562C Tboard@32C "
    "SOC2@40.093C Tdiode@33C SOC0@41.093C CV1@-256C GPU@-256C tj@44.343C SOC1@41.25C CV2@-256C "
    "VDD_GPU_SOC 2340mW/2340mW VDD_CPU_CV 390mW/390mW VIN_SYS_5V0 4025mW/4025mW NC 0mW/0mW "
    "VDDQ_VDD2_1V8AO 301mW/301mW NC 0mW/0mW"
)
# Jetson AGX Orin, JetPack 6.2.1 (L4T 36.4.4).
AGX_ORIN_6 = (
    "05-09-2026 18:42:06 RAM 18207/62841MB (lfb 466x4MB) SWAP 86/31420MB (cached 0MB) "
    "CPU [14%@2188,5%@2112] EMC_FREQ 3%@2133 GR3D_FREQ 0%@[0,0] NVENC 79%@166 NVDEC off NVJPG off VIC 36%@115 "
    "PVA0_FREQ off APE 174 cpu@52.562C soc2@48.437C tj@52.562C "
    "VDD_GPU_SOC 2412mW/2412mW VDD_CPU_CV 1607mW/1607mW VIN_SYS_5V0 4707mW/4707mW"
)
# Jetson AGX Thor, JetPack 7.1 (L4T 38.4), by root: clocks of the GPU without its load.
THOR_ROOT = (
    "05-17-2026 10:00:32 RAM 4208/125773MB (lfb 31x4MB) SWAP 0/2048MB (cached 0MB) CPU [1%@972,0%@972,3%@972] "
    "EMC_FREQ 0%@665 GR3D_FREQ @[0,0,0] NVENC0_FREQ @0 NVDEC0_FREQ @0 VIC off OFA_FREQ @0 PVA0_FREQ off APE 300 "
    "cpu@34.468C tj@34.5C soc012@33.781C soc345@34.5C VDD_GPU -392mW/-392mW VDD_CPU_SOC_MSS 4165mW/4165mW "
    "VIN_SYS_5V0 4126mW/4126mW"
)
# Jetson AGX Thor, JetPack 7.2 (L4T 39.2), by a user: neither memory's nor GPU's load; peaks of power.
THOR_USER = (
    "07-02-2026 13:45:44 RAM 36529/125749MB (lfb 12x4MB) SWAP 11/4096MB (cached 9MB) CPU [2%@972,1%@972] "
    "cpu@60.406C tj@63.281C soc012@58.468C gpu@62.906C soc345@63.281C VDD_GPU 37528mW/37528mW/37528mW "
    "VDD_CPU_SOC_MSS 18961mW/18961mW/18961mW VIN_SYS_5V0 18331mW/18331mW/18331mW VIN 87426mW/43713mW/87426mW"
)
# Jetson AGX Thor, JetPack 7.2, by root: peaks of temperature too.
THOR_PEAKS = (
    "08-08-2026 21:00:39 RAM 8353/125749MB (lfb 31x4MB) CPU [90%@2601,75%@2601,off,7%@2601] EMC_FREQ 34%@4266 "
    "GR3D_FREQ 87%@[1574,1574,1574] NVENC0_FREQ @1691 VIC off cpu@58.25C/61.75C tj@66.625C/66.625C "
    "VDD_GPU 37939mW/8660mW/37939mW VIN 124486mW/36487mW/124486mW"
)


@pytest.mark.parametrize(
    ("line", "used", "total"),
    [(TX2, 1685, 7854), (NANO, 1464, 3964), (XAVIER_NX, 3168, 6851), (THOR_USER, 36529, 125749)],
)
def test_memory_is_read_on_all_boards(line, used, total):
    assert parse_tegrastats(line)["ram_mb"] == {"used": used, "total": total}


@pytest.mark.parametrize(
    ("line", "gpu"),
    [
        (TX2, {"percent": 36, "mhz": [140]}),
        (TX2_4, {"percent": 0}),
        (NANO, {"percent": 7, "mhz": [768]}),
        (XAVIER_NX, {"percent": 0, "mhz": [114]}),
        (AGX_ORIN, {"percent": 0, "mhz": [0, 0]}),
        (THOR_ROOT, {"mhz": [0, 0, 0]}),
        (THOR_PEAKS, {"percent": 87, "mhz": [1574, 1574, 1574]}),
    ],
)
def test_the_gpus_load_and_clocks_are_read_in_every_form(line, gpu):
    assert parse_tegrastats(line)["gr3d"] == gpu


def test_what_a_line_does_not_have_is_not_there():
    assert parse_tegrastats(THOR_USER).keys() == {"ram_mb", "swap_mb", "processors", "celsius", "milliwatts"}


@pytest.mark.parametrize(
    ("line", "memory"),
    [(NANO, {"percent": 6, "mhz": [1600]}), (TX2_4, {"percent": 0}), (AGX_ORIN_6, {"percent": 3, "mhz": [2133]})],
)
def test_the_memorys_load_and_clock_are_read(line, memory):
    assert parse_tegrastats(line)["emc"] == memory


def test_processors_that_are_off_are_null():
    processors = parse_tegrastats(TX2_4)["processors"]
    assert processors[:3] == [{"percent": 3, "mhz": 345}, None, None]
    assert len(processors) == 6


def test_one_clock_of_all_processors_is_that_of_each():
    line = "RAM 3429/125749MB (lfb 120x4MB) CPU [0%,5%,off]@2601 EMC_FREQ @4266"
    assert parse_tegrastats(line)["processors"] == [{"percent": 0, "mhz": 2601}, {"percent": 5, "mhz": 2601}, None]


@pytest.mark.parametrize(
    ("line", "rails"),
    [
        (
            TX2,
            {
                "VDD_IN": (1776, 1853),
                "VDD_CPU": (231, 231),
                "VDD_GPU": (154, 154),
                "VDD_SOC": (386, 385),
                "VDD_WIFI": (38, 38),
                "VDD_DDR": (250, 288),
            },
        ),
        (TX2_4, {}),
        (NANO, {"POM_5V_IN": (2746, 2911), "POM_5V_GPU": (159, 161), "POM_5V_CPU": (796, 989)}),
        (
            AGX_XAVIER,
            {"GPU": (0, 0), "CPU": (311, 311), "SOC": (932, 932), "CV": (0, 0), "VDDRQ": (621, 621)}
            | {"SYS5V": (1482, 1482)},
        ),
        (XAVIER_NX, {"VDD_IN": (2763, 2846), "VDD_CPU_GPU_CV": (650, 670), "VDD_SOC": (650, 711)}),
        (AGX_ORIN_6, {"VDD_GPU_SOC": (2412, 2412), "VDD_CPU_CV": (1607, 1607), "VIN_SYS_5V0": (4707, 4707)}),
        (THOR_ROOT, {"VDD_GPU": (-392, -392), "VDD_CPU_SOC_MSS": (4165, 4165), "VIN_SYS_5V0": (4126, 4126)}),
        (THOR_PEAKS, {"VDD_GPU": (37939, 8660), "VIN": (124486, 36487)}),
    ],
)
def test_rails_are_read_with_and_without_units_and_peaks(line, rails):
    expected = {name: {"now": now, "average": average} for name, (now, average) in rails.items()}
    assert parse_tegrastats(line)["milliwatts"] == expected


def test_a_rail_without_an_average_has_none():
    line = "RAM 117456/125772MB (lfb 9x4MB) VDD_GPU 5517mW VIN 28548mW"
    assert parse_tegrastats(line)["milliwatts"] == {"VDD_GPU": {"now": 5517}, "VIN": {"now": 28548}}


@pytest.mark.parametrize(
    ("line", "celsius"),
    [
        (TX2_4, {"PLL": 50.5, "MCPU": 50.5, "PMIC": 50.0, "GPU": 50.0, "BCPU": 50.5, "thermal": 50.3}),
        (THOR_PEAKS, {"cpu": 58.25, "tj": 66.625}),
        # GPU and CV units are off.
        (
            AGX_ORIN,
            {"CPU": 44.562, "Tboard": 32.0, "SOC2": 40.093, "Tdiode": 33.0, "SOC0": 41.093, "tj": 44.343}
            | {"SOC1": 41.25},
        ),
    ],
)
def test_temperatures_are_those_of_units_that_are_on(line, celsius):
    assert parse_tegrastats(line)["celsius"] == celsius


@given(st.text())
def test_any_other_line_is_absent(line):
    if "RAM " not in line:
        with pytest.raises(AbsentError):
            parse_tegrastats(line)
