"""What the way from a frame to its nuclei costs beside the engine alone: `python -m unetplus_bench.frame_path`."""
