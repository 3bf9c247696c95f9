"""Nuclei segmentation with U-Net+: the method that training and running share."""

__version__ = "0.1.0"
