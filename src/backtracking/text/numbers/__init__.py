"""Numbers, amounts and units as people and models write them."""
