"""Facts about the machine that measures, and what happened to it meanwhile: for every result file."""

from unetplus_bench.device.checkout import code_version
from unetplus_bench.device.disturbances import warnings_about
from unetplus_bench.device.facts import device_facts
from unetplus_bench.device.power import PowerMeter

__all__ = ["PowerMeter", "code_version", "device_facts", "warnings_about"]
