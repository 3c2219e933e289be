"""The run: where it lies, its typed rows, files that survive, and the record of what was done."""
