"""Staff pages: thin views, templates, components and what they look like."""
