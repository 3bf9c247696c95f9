"""TensorRT engines, built from the bundle's ONNX files, and the proof of what they compute in."""

from __future__ import annotations

from unetplus_export.trt.build import BuildOptions, Plan, build_plan

__all__ = ["BuildOptions", "Plan", "build_plan"]
