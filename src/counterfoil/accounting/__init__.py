"""The accounting interface: unposted records, GL mapping, batches, reports, verification."""
