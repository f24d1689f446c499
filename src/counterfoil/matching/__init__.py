"""Holding quote, purchase, bill and invoice against each other: what differs is named, in dollars, and held."""
