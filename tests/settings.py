"""Settings of the tests: the product's own, and what only makes them quick.

The tables are made straight from the models: running all migrations takes half a minute a database. That the migrations
lead to the very same schema is a test of its own (tests/platform/test_schema.py).
"""

from __future__ import annotations

from counterfoil.conf.settings import *  # noqa: F403
from counterfoil.conf.settings import INSTALLED_APPS

#: Argon2 is slow on purpose; what tests check is who may sign in, not how slowly.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

#: The job queue's functions exist in its migrations only.
MIGRATION_MODULES = {
    app.removesuffix(".apps").rsplit(".", 1)[-1]: None for app in INSTALLED_APPS if not app.startswith("procrastinate")
}
PGTRIGGER_INSTALL_ON_MIGRATE = True
PGHISTORY_INSTALL_CONTEXT_FUNC_ON_MIGRATE = True
