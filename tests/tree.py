# SPDX-License-Identifier: BSD-2-Clause
"""What all tests share: the tree's root, its files, programs and make."""
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def run(args, timeout=300, **kw):
    """Runs a program in the tree's root; gives the finished process with its output as text."""
    return subprocess.run(args, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=timeout, stdin=subprocess.DEVNULL, **kw)


def apart():
    """The environment for a make apart from any make that started the tests."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}


def make(*args, timeout=300):
    return run(["make", "--no-print-directory", *args], timeout=timeout, env=apart())


def work_dir(name):
    """build/system/NAME: what the hosts of a test, or of several, leave behind."""
    path = os.path.join(ROOT, "build/system", name)
    os.makedirs(path, exist_ok=True)
    return path


def tracked(*patterns):
    """The files of the tree: what git has, or everything but build/ where there is no git."""
    out = run(["git", "ls-files", "--cached", *patterns])
    if out.returncode == 0 and out.stdout.strip():
        names = out.stdout.split("\n")
    else:
        names = [os.path.relpath(os.path.join(d, f), ROOT) for d, _, files in os.walk(ROOT)
                 for f in files if not os.path.relpath(d, ROOT).startswith(("build", ".git"))]
    return sorted(n for n in names if n and os.path.isfile(os.path.join(ROOT, n)))


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as f:
        return f.read()
