"""The WSGI application (``counterfoil serve`` runs it; any WSGI server can)."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counterfoil.conf.settings")

application = get_wsgi_application()
