"""Fixed assets: capitalising what is leased out, and depreciating it."""
