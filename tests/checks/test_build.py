# SPDX-License-Identifier: BSD-2-Clause
"""The build: both compilers without a warning, a prefix for cross tools, and nothing rebuilt or
left stale."""
import os
import shutil
import time

import pytest

from tree import ROOT, apart, make, read, run, tracked

BUILDS = {
    "gcc": [],
    "clang": ["CC=clang"],
    "checked": ["CHECKED=1"],
    "cross": ["CROSS_COMPILE=x86_64-linux-gnu-"],
}


@pytest.mark.parametrize("name", BUILDS)
def test_builds_without_warnings(name):
    out = make("-j2", f"B=build/checks/{name}", *BUILDS[name], "all", "guests", timeout=400)
    assert out.returncode == 0, out.stdout[-4000:]
    assert "warning" not in out.stdout.lower(), out.stdout[-4000:]
    assert os.path.exists(os.path.join(ROOT, f"build/checks/{name}/skep.elf"))


def newer_objects(build, since):
    return {os.path.join(d, f)[len(build) + 1:] for d, _, files in os.walk(build) for f in files
            if f.endswith(".o") and os.stat(os.path.join(d, f)).st_mtime > since}


def test_incremental_build(tmp_path):
    """On a copy of the tree: a second build does nothing; a touched header rebuilds its users and
    only them; a changed flag rebuilds all."""
    tree = tmp_path / "tree"
    for name in tracked():
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(os.path.join(ROOT, name), target)

    def build(*args):
        out = run(["make", "--no-print-directory", "-j2", "-C", str(tree), *args], timeout=400,
                  env=apart())
        assert out.returncode == 0, out.stdout[-3000:]
        return out.stdout

    build()
    objects = str(tree / "build")
    everything = newer_objects(objects, 0)
    time.sleep(1.1)
    start = time.time()
    build()
    assert newer_objects(objects, start) == set()

    header = tree / "lib/lock.h"
    users = set()
    for dep in (tree / "build").rglob("*.d"):
        if "lib/lock.h" in dep.read_text():
            users.add(os.path.relpath(str(dep)[:-2] + ".o", objects))
    assert users
    os.utime(header)
    build()
    # The symbol table is made of the whole link, whatever changed.
    assert newer_objects(objects, start) - {"obj/symbols.o"} == users

    time.sleep(1.1)
    start = time.time()
    build("CHECKED=1")
    rebuilt = newer_objects(objects, start)
    assert {o for o in everything if o.startswith("obj/")} <= rebuilt


def test_help_names_every_target():
    out = make("help").stdout
    for target in ("all", "iso", "run", "check", "unit", "fuzz", "bench", "clean"):
        assert f"make {target} " in out, target


def test_no_object_from_elsewhere():
    """Everything linked into skep.elf was compiled from this tree."""
    assert make("all").returncode == 0
    members = {line.split()[1] for line in read("build/skep.map").split("\n")
               if line.startswith("LOAD ")}
    foreign = {m for m in members if not m.startswith("build/")}
    assert members and not foreign
