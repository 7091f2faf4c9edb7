# SPDX-License-Identifier: BSD-2-Clause
"""Builds once, before the workers start, what the machines boot."""
import os
import sys

import pytest

from tree import make

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def pytest_configure(config):
    if os.environ.get("SKEP"):
        return
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    for targets in (["-j2", "all", "guests"], ["build/guest/initrd-amd64", "build/guest/initrd-i386"]):
        out = make(*targets, timeout=600)
        if out.returncode != 0:
            pytest.exit(f"make {' '.join(targets)} failed:\n{out.stdout[-3000:]}", 1)
