"""The written results: documents computed from a run's tables."""
