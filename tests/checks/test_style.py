# SPDX-License-Identifier: BSD-2-Clause
"""The form of the source: licence line, formatting, length, and nothing left unfinished."""
import os
import re
import stat

from tree import ROOT, read, run, tracked

C_FILES = ("*.c", "*.h")
MAX_LINES = 500
UNFINISHED = re.compile("|".join((r"\bTO" + "DO\b", r"\bFIX" + "ME\b", r"\bX" + r"XX\b",
                                  "[Nn]ot " + "implemented", "/" + "work/")))


def is_text(name):
    return not re.search(r"\.(bin|elf|png|gz|dat|raw)$", name) and "/corpus/" not in name


def head(name):
    return "\n".join(read(name).split("\n")[:3])


def test_licence_line():
    """In the first lines of every source file."""
    kinds = re.compile(r"\.(c|h|S|py|mk|ld|asl|sh)$|^Makefile$|^\.ci/run$")
    missing = [n for n in tracked() if kinds.search(n) and "/corpus/" not in n and
               "SPDX-License-Identifier: BSD-2-Clause" not in head(n)]
    assert not missing, missing


def test_clang_format():
    files = tracked(*C_FILES)
    out = run(["clang-format", "--dry-run", "-Werror", *files])
    names = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", out.stdout, re.M)))
    assert out.returncode == 0, f"run clang-format -i {' '.join(names)}"


def test_file_length():
    long = {n: lines for n in tracked("*.c", "*.h", "*.S", "*.py")
            if (lines := read(n).count("\n")) > MAX_LINES}
    assert not long, long


def test_line_length():
    wrong = [f"{n}:{i}" for n in tracked("*.py", "*.mk", "tools/*", "tests/*/run", ".ci/run")
             for i, line in enumerate(read(n).split("\n"), 1) if len(line) > 120 and not n.endswith(".json")]
    assert not wrong, wrong


def test_nothing_unfinished():
    wrong = [f"{n}:{i}: {line.strip()}" for n in tracked() if is_text(n)
             for i, line in enumerate(read(n).split("\n"), 1) if UNFINISHED.search(line)]
    assert not wrong, "\n".join(wrong)


def test_conditional_compilation_is_rare():
    """Variants are plain C or chosen at link time: #if stands for assembly and include guards."""
    wrong = []
    for name in tracked(*C_FILES):
        if name.startswith(("tests/", "guests/")):
            continue
        for i, line in enumerate(read(name).split("\n"), 1):
            if re.match(r"\s*#\s*(if|ifdef)\b", line) and "__ASSEMBLER__" not in line:
                wrong.append(f"{name}:{i}: {line}")
    assert len(wrong) <= 5, "\n".join(wrong)


def test_scripts_parse():
    for name in tracked("tools/*", "tests/*", ".ci/*"):
        path = os.path.join(ROOT, name)
        first = read(name).split("\n", 1)[0]
        if first.startswith("#!"):
            assert os.stat(path).st_mode & stat.S_IXUSR, f"{name} is not executable"
        if first.startswith("#!/bin/bash") or first.startswith("#!/bin/sh"):
            out = run(["bash", "-n", name])
            assert out.returncode == 0, out.stdout


def test_documents_name_files_that_exist():
    """Paths in the documents lead somewhere."""
    wrong = []
    for name in tracked("*.md"):
        for target in re.findall(r"`((?:boot|arch|vmm|mm|drivers|guests|lib|monitor|tests|tools|docs)"
                                 r"/[\w./-]*\w)`", read(name)):
            if "NAME" not in target and not os.path.exists(os.path.join(ROOT, target)):
                wrong.append(f"{name}: {target}")
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(name)):
            if not os.path.exists(os.path.join(ROOT, os.path.dirname(name), target)):
                wrong.append(f"{name}: link to {target}")
    assert not wrong, "\n".join(wrong)
