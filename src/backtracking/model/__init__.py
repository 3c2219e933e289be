"""A loaded model and its interventions: the map of its blocks, arms, gates, hooks and the ledger."""
