"""How far the verdicts can be trusted: planted truths, null studies, a partial analyst, and power."""
