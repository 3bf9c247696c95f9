"""The Keras networks. Importing this package imports Keras."""

from unetplus_edge.networks.build import build_network
from unetplus_edge.networks.cost import multiply_accumulates

__all__ = ["build_network", "multiply_accumulates"]
