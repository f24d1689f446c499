"""Outside systems, one folder each. An adapter turns plain values into the other side's language, and back."""
