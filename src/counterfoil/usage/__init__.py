"""Time, expenses and products that were used for a customer, and what agreements cover of them."""
