"""Boards that are not at hand: logs of trtexec from them, and what their datasheets allow at most."""
