"""What the words around a number make of it: claimed, denied, hedged, only mentioned."""
