"""The native REST API: the same commands and queries that the pages use, as JSON under ``/api/v1/``.

``areas`` hold the routes, one module per part of the business. What a route takes is read off the signature of its
command or query (``bodies``), what it answers off the model or row (``shapes``), so the API cannot drift from what it
fronts.
"""
