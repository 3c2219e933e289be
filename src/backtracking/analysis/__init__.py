"""Import paths of the earlier study; what they lead to lives in the rooms."""
