"""Traces from elsewhere, and sentence labels of any scheme, read row by row."""
