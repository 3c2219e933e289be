"""The trace explorer: every completion of a run to read, filter and compare, in a browser or on one page."""
