"""The audit: small named checks of whether a run's numbers can carry its claims."""
