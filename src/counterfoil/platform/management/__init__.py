"""Commands of Django that are ours, or done our way."""
