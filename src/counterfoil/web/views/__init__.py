"""Thin views of the staff pages: read the form, run the command, show rows."""
