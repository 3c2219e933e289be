"""What drives the engine under many arms: sweeps, the search and forced errors."""
