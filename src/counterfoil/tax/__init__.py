"""Sales tax codes and their levels, and remittances to the agencies."""
