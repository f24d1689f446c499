"""Customers, vendors, My Company and internal companies, with their sites and contacts."""
