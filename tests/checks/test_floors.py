# SPDX-License-Identifier: BSD-2-Clause
"""The rooms and who may know whom: the floors of docs/architecture.md, as data."""
import re

import pytest

from tree import make, read, run, tracked

# Room -> rooms it may include from, besides itself. A file belongs to the longest prefix.
ROOMS = {
    "lib/": (),
    "vmm/emul/": ("lib/",),
    "vmm/dev/": ("lib/",),
    "arch/x86_64/": ("lib/",),
    "drivers/uart/": ("lib/", "arch/x86_64/"),
    "mm/": ("lib/", "arch/x86_64/"),
    # The boundary to the back ends; what chooses one knows both.
    "arch/x86_64/hvm.": ("lib/", "arch/x86_64/", "mm/", "arch/x86_64/vmx/", "arch/x86_64/svm/"),
    "arch/x86_64/vmx/": ("lib/", "arch/x86_64/", "mm/", "arch/x86_64/hvm."),
    "arch/x86_64/svm/": ("lib/", "arch/x86_64/", "mm/", "arch/x86_64/hvm."),
    # Constants of the board that guests see: devices, loaders and the VM agree on them.
    "vmm/platform.h": ("lib/",),
    "vmm/config": ("lib/", "vmm/platform.h", "vmm/load/"),
    "vmm/load/": ("lib/", "vmm/platform.h"),
    "vmm/": ("lib/", "arch/x86_64/", "mm/", "arch/x86_64/hvm.", "vmm/emul/", "vmm/dev/",
             "vmm/load/", "vmm/platform.h", "vmm/config"),
    "monitor/": ("lib/", "arch/x86_64/", "drivers/uart/", "mm/", "arch/x86_64/hvm.", "vmm/",
                 "vmm/emul/", "vmm/dev/", "vmm/load/", "vmm/platform.h", "vmm/config"),
    "boot/": ("lib/", "arch/x86_64/", "drivers/uart/", "mm/", "arch/x86_64/hvm.", "vmm/",
              "vmm/emul/", "vmm/dev/", "vmm/load/", "vmm/platform.h", "vmm/config", "monitor/"),
}
# What freestanding C11 offers.
COMPILER_HEADERS = {"stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "limits.h", "stdalign.h",
                    "stdnoreturn.h", "iso646.h", "float.h"}


def room_of(name):
    fitting = [r for r in ROOMS if name.startswith(r)]
    return max(fitting, key=len) if fitting else None


def sources():
    return [n for n in tracked("*.c", "*.h", "*.S") if room_of(n)]


def includes(name):
    return re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)', read(name), re.M)


def test_no_room_includes_upward():
    wrong = []
    for name in sources():
        room = room_of(name)
        for quote, target in includes(name):
            if quote == "<":
                if target not in COMPILER_HEADERS:
                    wrong.append(f"{name}: <{target}> is no freestanding header")
                continue
            other = room_of(target)
            if other is None and "/" not in target and not target.endswith(".inc"):  # generated
                wrong.append(f'{name}: "{target}" is not a path from the root')
            elif other not in (room, None) and other not in ROOMS[room]:
                wrong.append(f"{name}: {room} may not include {target}")
    assert not wrong, "\n".join(wrong)


def test_back_ends_stay_behind_the_boundary():
    """No VMCS or VMCB name, and neither vendor's prefix, above the hvm boundary."""
    wrong = []
    for name in sources():
        if room_of(name) in ("arch/x86_64/vmx/", "arch/x86_64/svm/", "arch/x86_64/hvm."):
            continue
        for number, line in enumerate(read(name).split("\n"), 1):
            code = re.sub(r'/\*.*?\*/|//.*|"[^"]*"', "", line)
            if re.match(r"\s*\*", code):
                continue
            if re.search(r"\b(vmx|svm|vmcs|vmcb)_\w+\s*\(|struct (vmcs|vmcb)\b", code):
                wrong.append(f"{name}:{number}: {line.strip()}")
    assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="module")
def flags():
    out = make("-s", "print-KFLAGS")
    assert out.returncode == 0, out.stdout
    return [f for f in out.stdout.split() if f not in ("-MMD", "-MP", "-fstack-usage")]


def test_each_header_compiles_alone(flags, tmp_path):
    headers = [n for n in tracked("*.h") if room_of(n)]
    assert headers
    wrong = []
    for name in headers:
        unit = tmp_path / "alone.c"
        # Twice: the include guard has to hold too.
        unit.write_text(f'#include "{name}"\n#include "{name}"\ntypedef int not_empty;\n')
        out = run(["gcc", *flags, "-fsyntax-only", str(unit)])
        if out.returncode != 0:
            wrong.append(out.stdout)
    assert not wrong, "\n".join(wrong)
