"""Hostile input to everything that reads what others wrote: it is understood or refused, never a crash."""
