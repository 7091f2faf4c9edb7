# SPDX-License-Identifier: BSD-2-Clause
"""What every test can use: tools/ as modules, and a directory for what a test leaves behind."""
import os
import re
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tree import ROOT, work_dir  # noqa: E402

sys.path.insert(0, os.path.join(ROOT, "tools"))


@pytest.fixture
def workdir(request):
    """What this test's hosts leave behind."""
    return work_dir(re.sub(r"[^\w.-]+", "-", request.node.name).strip("-"))
