"""Rows in, finished rows out: token choice, the batched engine, the slow reference, and the workers."""
