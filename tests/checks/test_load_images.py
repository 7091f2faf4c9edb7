# SPDX-License-Identifier: BSD-2-Clause
"""Valid images in every shape, generated, loaded, and compared with what others read in them:
readelf for ELF files, grub-file for Multiboot headers, this file for the rest."""
import os
import random
import re
import struct
import subprocess
import sys

import pytest

from tree import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests/load"))
import guests  # noqa: E402
import images as im  # noqa: E402
import loading  # noqa: E402
from images import Segment, elf, multiboot, multiboot2, tag  # noqa: E402

MIB = 1 << 20
MEM = 64 * MIB
SHAPES = 40  # generated files of each kind
FLAT32, FLAT64 = (0xc09b, 0xc093), (0xa09b, 0xc093)  # attributes of CS and of the others


def tool(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def readelf_segments(path):
    """readelf's reading: (type, offset, vaddr, paddr, filesz, memsz) of each program header."""
    rows = re.findall(r"^  ([A-Z]\w+)((?: +0x[0-9a-f]+){5}) ", tool("readelf", "-lW", path), re.M)
    return [(kind, *(int(n, 16) for n in numbers.split())) for kind, numbers in rows]


def readelf_entry(path):
    return int(re.search(r"Entry point address: +(0x[0-9a-f]+)", tool("readelf", "-h", path))[1], 16)


def grub_says(what, path):
    return subprocess.run(["grub-file", f"--is-{what}", path], check=False).returncode == 0


def random_segments(r):
    """One to six segments in any order, apart from each other; some linked elsewhere, some empty,
    some with memory behind their bytes, with notes between them."""
    at, out = r.choice((0x600, 0x8000, MIB, 3 * MIB)), []
    for _ in range(r.randint(1, 6)):
        data = r.randbytes(r.choice((0, 1, 7, 100, 4096, 70000)))
        memsz = len(data) + r.choice((0, 0, 1, 5000))
        if at < MIB and at + memsz > 0x9f000:
            at = MIB
        virtual = r.choice((0, 0, 0x40000000))
        out.append(Segment(at, data, memsz=memsz, vaddr=at + virtual))
        at += memsz + r.choice((0, 1, 16, 4096, 99999))
    out += [Segment(0, r.randbytes(12), kind=im.PT_NOTE)] * r.randint(0, 2)
    r.shuffle(out)
    return out


def linkable(segments):
    """Those with memory: an entry may lie there."""
    return [s for s in segments if s.kind == im.PT_LOAD and s.memsz]


def check_memory(guest, path, offset=0):
    """All that readelf says a file loads is there; what lies behind it is zero."""
    with open(path, "rb") as f:
        data = f.read()
    for kind, at, _, paddr, filesz, memsz in readelf_segments(path):
        if kind == "LOAD" and memsz:
            assert guest.read(paddr + offset, filesz) == data[at:at + filesz]
            assert not any(guest.read(paddr + offset + filesz, memsz - filesz))


def physical_entry(path):
    entry = readelf_entry(path)
    for kind, _, vaddr, paddr, _, memsz in readelf_segments(path):
        if kind == "LOAD" and vaddr <= entry < vaddr + memsz:
            return entry - vaddr + paddr
    raise AssertionError("readelf finds the entry in no segment")


def check_registers(state, attributes, cr0, cr4, efer):
    assert (state.cr0, state.cr4, state.efer, state.rflags) == (cr0, cr4, efer, 2)
    assert (state.cs.sel, state.cs.attr, state.cs.limit, state.cs.base) == (
        0x10, attributes[0], 0xffffffff, 0)
    for name in ("ds", "es", "fs", "gs", "ss"):
        seg = getattr(state, name)
        assert (seg.sel, seg.attr, seg.limit, seg.base) == (0x18, attributes[1], 0xffffffff, 0)
    assert state.tr.attr == 0x8b and state.ldtr.attr & 0x10000
    assert state.idt.limit == 0 and 0xd0000 <= state.gdt.base < 0xe0000


def check_prot32(guest):
    check_registers(guest.state, FLAT32, 0x11, 0, 0)
    assert guest.state.cr3 == 0


def write(workdir, data):
    path = os.path.join(workdir, "image")
    with open(path, "wb") as f:
        f.write(data)
    return path


def shapes():
    return pytest.mark.parametrize("bits", (32, 64))


@shapes()
def test_plain_elf(bits, workdir):
    for seed in range(SHAPES):
        r = random.Random(seed)
        segments = random_segments(r)
        if not linkable(segments):
            continue
        target = r.choice(linkable(segments))
        image = elf(bits, segments, im.symbols(bits) if r.random() < 0.5 else (),
                    entry=target.vaddr + r.randrange(target.memsz))
        path = write(workdir, image)
        assert not grub_says("x86-multiboot", path)
        guest = loading.load(image, mem=MEM)
        assert guest.state.what == b"ELF%d kernel" % bits
        check_memory(guest, path)
        assert guest.state.rip == physical_entry(path)
        if bits == 32:
            check_prot32(guest)
        else:
            check_registers(guest.state, FLAT64, 0x80000031, 0x20, 0x500)
        stack = guest.state.rsp
        assert stack % 16 == 0 and guest.read(stack - 0x4000, 0x4000) == bytes(0x4000)
        for kind, _, _, paddr, _, memsz in readelf_segments(path):
            assert kind != "LOAD" or stack <= paddr or stack - 0x4000 >= paddr + memsz


@shapes()
def test_pvh(bits, workdir):
    """The note in a program header or in a section, behind others, of 4 or 8 bytes."""
    for seed in range(SHAPES):
        r = random.Random(seed)
        code = Segment(0x200000, r.randbytes(5000), vaddr=0x200000 + r.choice((0, 0x40000000)))
        entry = code.vaddr + r.randrange(5000)
        value = struct.pack("<Q" if r.random() < 0.5 else "<I", entry)
        notes = im.note(b"GNU", 3, r.randbytes(20)) + im.note(b"Xen", 6, b"guest")
        notes += im.note(b"Xen", 18, value) + im.note(b"Xen", 2, bytes(8))
        segments, sections = [code], [im.Section(0)]
        if r.random() < 0.5:
            segments.insert(r.randint(0, 1), Segment(0, notes, kind=im.PT_NOTE))
        else:
            sections.append(im.Section(7, notes, align=4))
        image = elf(bits, segments, sections, entry=code.vaddr)
        path = write(workdir, image)
        # readelf frets over sections without names, and reads the notes all the same.
        read = subprocess.run(["readelf", "-nW", path], capture_output=True, text=True, check=False)
        assert re.search(r"Xen .*0x00000012", read.stdout), read.stdout + read.stderr
        guest = loading.load(image, cmdline="one two", vcpus=2)
        assert guest.state.what == b"PVH kernel, ELF%d" % bits
        check_memory(guest, path)
        check_prot32(guest)
        assert guest.state.rip == entry - code.vaddr + 0x200000
        info = guest.state.rbx
        assert guest.u(info, 4) == 0x336ec578 and guest.text(guest.u(info + 24, 8)) == "one two"


def check_kinds(path, first, second):
    assert (grub_says("x86-multiboot", path), grub_says("x86-multiboot2", path)) == (first, second)


@shapes()
def test_multiboot_elf(bits, workdir):
    """The header anywhere that it may be, in ELF files of any shape."""
    for seed in range(SHAPES):
        r = random.Random(seed)
        segments = random_segments(r)
        if not linkable(segments):
            continue
        pad = bytes(4 * r.randrange((8192 - 200) // 4))
        target = r.choice(linkable(segments))
        image = elf(bits, segments, im.symbols(bits), head=pad + multiboot(r.randrange(4)),
                    entry=target.vaddr + r.randrange(target.memsz))
        path = write(workdir, image)
        check_kinds(path, True, False)
        modules = [(r.randbytes(r.randint(1, 9000)), f"m{i}", False) for i in range(r.randint(0, 3))]
        guest = loading.load(image, modules=modules, cmdline="x")
        assert guest.state.rip == physical_entry(path) and guest.state.rax == 0x2badb002
        check_memory(guest, path)
        check_prot32(guest)
        info = guest.state.rbx
        for i, (data, text, _) in enumerate(modules):
            start, end, words = (guest.u(guest.u(info + 24, 4) + i * 16 + k, 4) for k in (0, 4, 8))
            assert guest.read(start, end - start) == data and guest.text(words) == text
            assert start % 4096 == 0
        # The symbols, by the addresses in the section headers that the kernel is given.
        table = guest.u(info + 36, 4)
        size, field, wide = (64, 16, 8) if bits == 64 else (40, 12, 4)
        symbols = guest.u(table + size + field, wide)
        assert guest.read(symbols, 48) == bytes(range(48))


def test_multiboot_addresses(workdir):
    """Images placed by their header: load and bss ends given or not, the header inside."""
    for seed in range(SHAPES):
        r = random.Random(seed)
        before, body = r.randbytes(4 * r.randrange(500)), r.randbytes(r.randint(100, 9000))
        load = 0x200000 + r.randrange(4096)
        header = load + len(before)
        end = header + 32 + len(body)
        load_end = r.choice((0, end, end - 50))
        bss_end = r.choice((0, end + 777))
        entry = load + r.randrange(len(before) + 32)
        image = before + multiboot(0, (header, load, load_end, bss_end, entry)) + body
        path = write(workdir, image)
        check_kinds(path, True, False)
        guest = loading.load(image)
        size = (load_end or end) - load
        assert guest.read(load, size) == image[:size]
        assert not any(guest.read(load + size, (bss_end or load + size) - load - size))
        assert guest.state.rip == entry


@shapes()
def test_multiboot2(bits, workdir):
    """ELF files and images placed by address tags, relocated or not, entered where a tag says."""
    for seed in range(SHAPES):
        r = random.Random(seed)
        body, load = r.randbytes(9000), 0x200000
        tags, offset, entry = [tag(1, 1, 3, 6), tag(5, 1024, 768, 32, flags=1), tag(6)], 0, load + 64
        if r.random() < 0.5:
            preference = r.choice((0, 1, 2))
            tags.append(tag(10, 0x400000, 0x7fffff, 0x10000, preference))
            offset = None if preference == 2 else 0x400000 - load
        by_tags = r.random() < 0.5
        if by_tags or r.random() < 0.5:
            entry = load + r.randrange(9000)
            tags.append(tag(3, entry))
        r.shuffle(tags)
        if by_tags:
            front = bytes(8 * r.randrange(100))
            where = r.choice((load, 0xffffffff))  # the latter: the file's beginning
            made = multiboot2(tag(2, load + len(front), where, 0, load + 20000), *tags)
            image, size = front + made + body, len(front) + len(made) + len(body)
        else:
            made = bytes(-(64 if bits == 64 else 52) % 8 + 8 * r.randrange(3000)) + multiboot2(*tags)
            image = elf(bits, [Segment(load, body, memsz=20000)], head=made, entry=load + 64)
        path = write(workdir, image)
        check_kinds(path, False, True)
        guest = loading.load(image)
        if offset is None:
            offset = (0x800000 - 20000) // 0x10000 * 0x10000 - load
        if by_tags:
            assert guest.read(load + offset, size) == image
            assert not any(guest.read(load + offset + size, 20000 - size))
        else:
            check_memory(guest, path, offset)
        assert guest.state.rip == entry + offset and guest.state.rax == 0x36d76289
        check_prot32(guest)


LINUX = [(0x206, 0x23c), (0x207, 0x244), (0x208, 0x250), (0x209, 0x258), (0x20a, 0x264),
         (0x20b, 0x268), (0x20c, 0x268), (0x20d, 0x268), (0x20e, 0x268), (0x20f, 0x26c)]


@pytest.mark.parametrize("version,header_end", LINUX)
def test_linux_versions(version, header_end, workdir):
    """Setup headers of each version, as long as that version's is; code, header and initrds."""
    for seed in range(8):
        r = random.Random(seed)
        bits = 64 if version >= 0x20c and seed % 2 else 32
        code = r.randbytes(0x4000)
        image = guests.bzimage(code, bits, version, seed % 4 < 2, header_end)
        path = write(workdir, image)
        assert grub_says("x86-linux", path) or grub_says("x86-linux32", path)
        initrds = [(r.randbytes(r.randint(1, 9999)), "", True) for _ in range(seed % 4)]
        guest = loading.load(image, modules=initrds, cmdline="quiet")
        load = guest.state.rip - (0x200 if bits == 64 else 0)
        assert load >= MIB and guest.read(load, len(code)) == code
        params = guest.state.rsi
        assert guest.u(params + 0x206, 2) == version and guest.text(
            guest.u(params + 0x228, 4)) == "quiet"
        # The header as it is in the file, but for the fields that a loader fills in.
        for at in range(0x1f1, header_end):
            if not any(low <= at < low + size for low, size in
                       ((0x1fa, 2), (0x210, 1), (0x214, 4), (0x218, 8), (0x228, 4))):
                assert guest.u(params + at, 1) == image[at], hex(at)
        assert not any(guest.read(params + header_end, 0x290 - header_end))
        start, size = guest.u(params + 0x218, 4), guest.u(params + 0x21c, 4)
        whole = b""
        for data, _, _ in initrds:
            whole += bytes(-len(whole) % 4) + data
        assert size == len(whole) and (not size or guest.read(start, size) == whole)


def everything():
    """One valid load of each kind, with modules."""
    code = Segment(0x200000, bytes(range(200)), memsz=5000)
    two = [(b"one" * 999, "a b", False), (b"two", "", False)]
    note = Segment(0, im.note(b"Xen", 18, struct.pack("<I", 0x200000)), kind=im.PT_NOTE)
    herring = Segment(0, b"/red/herring\0", kind=im.PT_INTERP)
    yield {"kernel": guests.bzimage(bytes(0x4000), 64), "modules": [(b"x" * 99, "", True)] * 2}
    yield {"kernel": elf(32, [code], im.symbols(32), head=multiboot()), "modules": two}
    yield {"kernel": elf(64, [code], im.symbols(64), head=multiboot2(tag(10, 0, 1 << 30, 16, 1))),
           "modules": two}
    yield {"kernel": elf(32, [code, note]), "modules": two}
    yield {"kernel": elf(64, [code]), "modules": two}
    yield {"kernel": bytes(9999), "kind": "flat", "modules": two}
    for bits in (32, 64):
        yield {"kernel": elf(bits, [code, herring], im.symbols(bits), osabi=9, entry=0x200000),
               "modules": two}


KIND_OF = ("linux", "multiboot", "multiboot2", "pvh", "elf", "flat", "freebsd", "freebsd")


def test_kinds_are_recognised():
    """type=auto takes each file for what it is (a flat binary has to be said); type= of that name
    gives the same start; a file that is of two kinds is what `type=` says."""
    for request, name in zip(everything(), KIND_OF):
        guest = loading.load(**request)
        assert loading.KINDS[guest.state.kind] == name
        again = loading.load(**{**request, "kind": name})
        assert (again.state.rip, again.state.rsp, again.state.what) == (
            guest.state.rip, guest.state.rsp, guest.state.what)
    code = Segment(0x200000, bytes(200))
    note = Segment(0, im.note(b"Xen", 18, struct.pack("<I", 0x200010)), kind=im.PT_NOTE)
    both = elf(32, [code, note], head=multiboot() + multiboot2())
    for said, taken in (("auto", "multiboot2"), ("multiboot", "multiboot"),
                        ("multiboot2", "multiboot2"), ("pvh", "pvh"), ("elf", "elf"),
                        ("flat", "flat")):
        assert loading.KINDS[loading.load(both, kind=said).state.kind] == taken


@shapes()
def test_images_that_refer_to_themselves(bits):
    """Tables that lie over each other or over what they describe: loaded, or refused by a sentence;
    nothing is written outside RAM (loading.py looks at each write)."""
    wide = bits == 64
    word, phoff, shoff, ehsize, phsize, shsize = (
        ("<Q", 32, 40, 64, 56, 64) if wide else ("<I", 28, 32, 52, 32, 40))
    sections = [im.Section(0), im.Section(2, bytes(96), link=1, info=1),  # its own string table
                im.Section(9, bytes(48), link=2, info=2, flags=2),        # relocates itself
                im.Section(3, b"\0x\0", link=3)]
    code = Segment(0x200000, bytes(range(256)))
    herring = Segment(0, b"/red/herring\0", kind=im.PT_INTERP)
    image = elf(bits, [code, herring], sections, osabi=9, head=multiboot() + bytes(
        -(ehsize + 12) % 8) + multiboot2(tag(6)))
    table = struct.unpack_from(word, image, shoff)[0]
    at = 16 if wide else 12
    outcomes = set()
    for changes in ([], [(phoff, word, 0)], [(phoff, word, ehsize - 8)], [(phoff, word, shoff)],
                    [(shoff, word, 0)], [(shoff, word, phoff)], [(shoff, word, ehsize)],
                    [(table + shsize + at + (8 if wide else 4), word, table)],
                    [(table + 2 * shsize + at + (8 if wide else 4), word, 0)],
                    [(ehsize + phsize, word, 0)]):
        for kind in ("auto", "multiboot", "multiboot2", "freebsd", "elf", "pvh"):
            changed = im.patched(image, *changes)
            for modules in ((), [(im.patched(changed, (16, "<H", im.REL)), "x.ko", False)],
                            [(im.patched(changed, (16, "<H", im.DYN)), "y.ko", False)]):
                try:
                    loading.load(changed, kind=kind, modules=modules)
                    outcomes.add(True)
                except loading.Refused as e:
                    assert e.text and e.error in (loading.ERR_INVAL, loading.ERR_RANGE,
                                                  loading.ERR_NOSUP)
                    outcomes.add(False)
    assert outcomes == {True, False}


@pytest.mark.parametrize("number", range(8))
def test_writer_fails(number):
    """A write that fails ends the load with its error and one sentence, whichever write it is; no
    write goes outside RAM (loading.py looks at each)."""
    request = list(everything())[number]
    calls = loading.load(**request).calls
    assert calls > 20
    for n in range(calls):
        with pytest.raises(loading.Refused) as caught:
            loading.load(**request, fail_at=n)
        assert caught.value.error == loading.ERR_NOMEM
        assert re.fullmatch(r"no memory for 0x[0-9a-f]+ bytes at 0x[0-9a-f]+ of the guest",
                            caught.value.text)


@pytest.mark.parametrize("mem", (2 * MIB, 3 * MIB, 0xc0000000 - 4096, 0xc0000000, 0x140000000))
def test_memory_sizes(mem):
    """Small memory is either enough or said not to be; large memory loads all."""
    for request in everything():
        try:
            guest = loading.load(**request, mem=mem)
        except loading.Refused as e:
            assert mem < 4 * MIB and e.error in (loading.ERR_RANGE, loading.ERR_INVAL), e.text
        else:
            assert guest.state.rip
