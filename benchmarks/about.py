"""What a file of results says about how it was measured."""

import contextlib
import os
import platform
import time
from importlib import metadata


def about(libraries, *, threads, repeats, machine=None):
    """Return machine, date and versions; `machine` is the processor by default."""
    return {
        "python": platform.python_version(),
        "machine": machine or f"{platform.machine()}, {os.cpu_count()} cores",
        "date": time.strftime("%Y-%m-%d"),
        "threads": threads,
        "repeats": repeats,
        "versions": versions(libraries),
    }


def versions(libraries):
    """Return the versions of those that are installed."""
    found = {}
    for name in libraries:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
