"""The rules, pure: standard library only. No Django, no clock, no randomness, no IO, no logging."""
