# SPDX-License-Identifier: BSD-2-Clause
"""tools/skepctl, whose name does not end in .py, as a module."""
import importlib.machinery
import importlib.util
import os

from tree import ROOT

_loader = importlib.machinery.SourceFileLoader("skepctl", os.path.join(ROOT, "tools/skepctl"))
skepctl = importlib.util.module_from_spec(importlib.util.spec_from_loader("skepctl", _loader))
_loader.exec_module(skepctl)
