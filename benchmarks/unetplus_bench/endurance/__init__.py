"""The daemon under everything that can go wrong with it: `python -m unetplus_bench.endurance`.

A part is a fault, or a group of faults, done many times to real processes at moments drawn by a seeded
generator. What it leaves on the disk is read with nothing but SQLite, and compared with what the daemon
has announced.
"""
