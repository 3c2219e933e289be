"""Ways out of a run: rows, vectors and arms as files that other tools open, and trackers that are told."""
