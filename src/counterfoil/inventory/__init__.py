"""Warehouses and bins, receiving, stock with its value, serial numbers, shipping."""
