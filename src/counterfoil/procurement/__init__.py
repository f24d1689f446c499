"""Purchase orders, vendor bills and their payment."""
