"""Sales orders: what was sold once, and must be bought, shipped and invoiced."""
