"""Completions in, tables out: events, rates, intervals and comparisons; no torch."""
