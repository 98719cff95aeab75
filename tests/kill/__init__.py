"""A campaign of kills, full disks and broken files against the grid: `python -m tests.kill`."""
