"""Opportunities and the lines quoted in them: where every later line descends from."""
