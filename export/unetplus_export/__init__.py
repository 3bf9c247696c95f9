"""Conversions of a bundle's Keras model, one module a target, and the proof that they still segment."""
