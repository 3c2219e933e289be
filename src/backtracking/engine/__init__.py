"""Rows in, finished rows out: token choice, the batched engine, and the slow reference beside it."""
