"""Measuring rows: which there are, what each times, the processes that take turns, and what they come to."""
