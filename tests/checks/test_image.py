# SPDX-License-Identifier: BSD-2-Clause
"""build/skep.elf: what a loader sees, permissions, size and stack use."""
import os
import re
import struct

import pytest

from tree import ROOT, make, run

SIZE_LIMIT = 256 * 1024  # of all that is loaded
FRAME_LIMIT = 1024

PT_LOAD, PT_NOTE, PF_X, PF_W = 1, 4, 1, 2
SHF_WRITE, SHF_ALLOC, SHF_EXEC = 1, 2, 4


@pytest.fixture(scope="module")
def elf():
    out = make("-j2", "all")
    assert out.returncode == 0, out.stdout[-3000:]
    with open(os.path.join(ROOT, "build/skep.elf"), "rb") as f:
        return f.read()


def segments(elf):
    """(type, flags, offset, vaddr, paddr, filesz, memsz) of each program header."""
    phoff, = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    for i in range(count):
        kind, flags, off, va, pa, filesz, memsz, _ = struct.unpack_from("<IIQQQQQQ", elf,
                                                                        phoff + i * size)
        yield kind, flags, off, va, pa, filesz, memsz


def test_is_a_64_bit_executable(elf):
    assert elf[:6] == b"\x7fELF\x02\x01"
    kind, machine = struct.unpack_from("<HH", elf, 16)
    assert (kind, machine) == (2, 62)


def test_no_segment_is_writable_and_executable(elf):
    loads = [s for s in segments(elf) if s[0] == PT_LOAD]
    assert loads
    for kind, flags, _, va, _, _, _ in loads:
        assert not (flags & PF_W and flags & PF_X), f"segment at {va:#x}"
    assert any(flags & PF_X for _, flags, *_ in loads)


def test_no_section_is_writable_and_executable(elf):
    out = run(["readelf", "-SW", "build/skep.elf"]).stdout
    for line in out.split("\n"):
        m = re.match(r"\s*\[\s*\d+\]\s+(\S+)\s+\S+\s+[0-9a-f]+ [0-9a-f]+ [0-9a-f]+ \S+\s+([A-Z]*)",
                     line)
        if m:
            assert not {"W", "X"} <= set(m.group(2)), line


def test_segments_do_not_share_pages(elf):
    """Permissions can differ only where pages do."""
    loads = sorted((s[3], s[6]) for s in segments(elf) if s[0] == PT_LOAD)
    for (va, size), (following, _) in zip(loads, loads[1:]):
        assert (va + size + 4095) & ~4095 <= following & ~4095 or following < 0xffff800000000000


def test_loaded_size(elf):
    loaded = sum(s[5] for s in segments(elf) if s[0] == PT_LOAD)
    assert loaded < SIZE_LIMIT, f"{loaded} bytes"


def test_multiboot2_header(elf):
    """Within the first 32 KiB, on 8 bytes, checksum zero, and no framebuffer tag."""
    for at in range(0, 32768, 8):
        if elf[at:at + 4] == struct.pack("<I", 0xe85250d6):
            break
    else:
        pytest.fail("no Multiboot2 header")
    magic, arch, length, checksum = struct.unpack_from("<IIII", elf, at)
    assert (magic + arch + length + checksum) & 0xffffffff == 0 and arch == 0
    tags, pos = [], at + 16
    while pos < at + length:
        kind, _, size = struct.unpack_from("<HHI", elf, pos)
        tags.append(kind)
        if kind == 0:
            break
        assert size >= 8
        pos += (size + 7) & ~7
    assert tags[-1] == 0 and 5 not in tags
    assert 10 in tags, "relocatable tag"


def test_pvh_note(elf):
    """A Xen note of type 18 with the 32-bit entry, in a segment that QEMU reads."""
    for kind, _, off, _, _, size, _ in segments(elf):
        if kind != PT_NOTE:
            continue
        pos = off
        while pos + 12 <= off + size:
            namesz, descsz, ntype = struct.unpack_from("<III", elf, pos)
            name = elf[pos + 12:pos + 12 + namesz].rstrip(b"\0")
            if name == b"Xen" and ntype == 18:
                desc = pos + 12 + ((namesz + 3) & ~3)
                entry = int.from_bytes(elf[desc:desc + descsz], "little")
                assert any(k == PT_LOAD and pa <= entry < pa + fsz and flags & PF_X
                           for k, flags, _, _, pa, fsz, _ in segments(elf))
                return
            pos += 12 + ((namesz + 3) & ~3) + ((descsz + 3) & ~3)
    pytest.fail("no PVH note")


def test_symbols_are_there(elf):
    out = run(["nm", "build/skep.elf"]).stdout
    assert len(out.split("\n")) > 200


def test_stack_frames(elf):
    """Every function's frame is known at compile time and small: the stack has no room to grow."""
    frames, checked = [], 0
    for d, _, files in os.walk(os.path.join(ROOT, "build/obj")):
        for name in files:
            if not name.endswith(".su"):
                continue
            with open(os.path.join(d, name), encoding="utf-8") as f:
                for line in f:
                    where, size, kind = line.rstrip("\n").split("\t")
                    checked += 1
                    if int(size) > FRAME_LIMIT or kind not in ("static", "dynamic,bounded"):
                        frames.append(f"{where}: {size} bytes, {kind}")
    assert checked > 100
    assert not frames, "\n".join(frames)
