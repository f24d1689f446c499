"""The embedded double-entry general ledger: accounts, periods, journal entries."""
