"""What reads a model: the lens, the scan, patching, directions and the onset step."""
