"""Measurements: what a network costs on a device. The uppermost package: it may import all others."""
