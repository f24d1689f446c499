"""Customer invoices and payments."""
