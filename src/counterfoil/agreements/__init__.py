"""Agreements and their additions: what is billed again and again."""
