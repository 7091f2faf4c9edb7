# SPDX-License-Identifier: BSD-2-Clause
"""Static analysis of the hypervisor's sources: clang-tidy (.clang-tidy) and cppcheck
(tests/checks/cppcheck.txt), both without a finding."""
import concurrent.futures
import os
import subprocess

from tree import ROOT, make, run
from test_floors import sources


def c_sources():
    return [n for n in sources() if n.endswith(".c")]


def test_clang_tidy():
    flags = [f for f in make("-s", "print-KFLAGS", "CC=clang").stdout.split()
             if f not in ("-MMD", "-MP")]

    def tidy(name):
        out = subprocess.run(["clang-tidy", "--quiet", "--warnings-as-errors=*", name, "--", *flags],
                             cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                             timeout=300)
        return "" if out.returncode == 0 else out.stdout

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        findings = [text for text in pool.map(tidy, c_sources()) if text]
    assert not findings, "\n".join(findings)[:8000]


def test_cppcheck():
    out = run(["cppcheck", "--quiet", "--std=c11", "--platform=unix64", "-I.", "-j2",
               "--enable=warning,portability,performance", "--inline-suppr", "--error-exitcode=1",
               "--suppressions-list=tests/checks/cppcheck.txt", "-D__x86_64__=1", "-DCHECKED=0",
               "-D__GNUC__=12", *c_sources()], timeout=600)
    assert out.returncode == 0, out.stdout[-8000:]
