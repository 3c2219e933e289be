"""Import paths of the earlier study; the code itself lives in the other folders."""
