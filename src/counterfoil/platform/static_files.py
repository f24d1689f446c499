"""Static files for ``counterfoil serve``: collected once into the data folder, compressed, named by their content."""

from __future__ import annotations

import fcntl
import hashlib
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from whitenoise.storage import CompressedManifestStaticFilesStorage


class ContentNamedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Whitenoise's storage, which leaves references to source maps alone: vendored files name maps we do not ship."""

    patterns = tuple(
        (extension, tuple(entry for entry in entries if "sourceMappingURL" not in str(entry)))
        for extension, entries in CompressedManifestStaticFilesStorage.patterns
    )


def collect() -> bool:
    """Collect the static files if they are not there as they should be; says whether it had to."""
    if settings.STATIC_ROOT is None:
        raise RuntimeError("static files are collected by what serves them (counterfoil serve) only")
    root = Path(settings.STATIC_ROOT)
    root.mkdir(parents=True, exist_ok=True)
    with (root.parent / "static.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, wanted = root / ".collected", _fingerprint()
        if stamp.exists() and stamp.read_text() == wanted:
            return False
        call_command("collectstatic", interactive=False, verbosity=0)
        stamp.write_text(wanted)
        return True


def _fingerprint() -> str:
    """Changes when a static file is added, removed or changed."""
    seen = []
    for finder in get_finders():
        for name, storage in finder.list(["CVS", ".*", "*~"]):
            found = Path(storage.path(name)).stat()
            seen.append(f"{name} {found.st_size} {found.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(seen)).encode()).hexdigest()
