# SPDX-License-Identifier: BSD-2-Clause
"""Every sentence with which vmm/load refuses a kernel: one table, and a proof that none is missing.

Each names what is wrong, and where in the file; numbers here are those that the images were made
with.
"""
import glob
import os
import re
import struct
import sys

import pytest

from tree import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests/load"))
import guests  # noqa: E402
import images as im  # noqa: E402
import loading  # noqa: E402
from images import Section, Segment, elf, multiboot, multiboot2, patched, tag  # noqa: E402
from loading import ERR_INVAL, ERR_NOSUP, ERR_RANGE  # noqa: E402

MIB = 1 << 20
CODE = b"\xf4" * 256


def linux(*changes, size=0x4000, **kw):
    """A bzImage (0x400 bytes of setup) with fields overwritten."""
    return patched(guests.bzimage(b"\xf4" * size, 32, **kw), *changes)


def mb1(flags=0, segment=None, **kw):
    return elf(32, [segment or Segment(0x200000, CODE)], head=multiboot(flags), **kw)


def mb2(*tags, segment=None, **kw):
    return elf(32, [segment or Segment(0x200000, CODE)], head=bytes(4) + multiboot2(*tags), **kw)


def raw2(*tags, **kw):
    return multiboot2(*tags, **kw) + CODE


def kludge(*addresses, pad=0):
    return bytes(pad) + multiboot(0, addresses) + CODE


def bsd(*segments, bits=32, entry=None, **kw):
    return elf(bits, [*(segments or [Segment(0x400000, CODE)]),
                      Segment(0, b"/red/herring\0", kind=im.PT_INTERP)], osabi=9, entry=entry, **kw)


def bsd_module(data, kernel_bits=32, text="foo.ko"):
    return {"kernel": bsd(bits=kernel_bits), "modules": [(data, text, False)]}


def many(n):
    return [(b"x", "", False)] * n


def obj(sections, bits=32):
    return elf(bits, [], sections, kind=im.REL, entry=0)


PAGE_MAP = [Segment(0x200000 + i * 0x2000, b"x") for i in range(60)]
FULL_LOW = [Segment(0x500 + i, b"x" * (0x9fc00 - 0x500)) for i in (0,)]
PVH_NOTE = im.note(b"Xen", 18, struct.pack("<I", 0x200000))
PVH_AT_MIB = im.note(b"Xen", 18, struct.pack("<I", MIB))

# name: (error, sentence, the load)
TABLE = {
    # ---- what is asked for
    "empty": (ERR_INVAL, "kernel: the file is empty", {"kernel": b""}),
    "no memory": (ERR_RANGE, "a guest cannot have 0x1000 bytes of memory",
                  {"kernel": CODE, "mem": 4096}),
    "odd memory": (ERR_RANGE, "a guest cannot have 0x4000001 bytes of memory",
                   {"kernel": CODE, "mem": 64 * MIB + 1}),
    "processors": (ERR_RANGE, "a guest cannot have 33 processors: 1 to 32",
                   {"kernel": CODE, "vcpus": 33}),
    "larger than memory": (ERR_RANGE, "kernel: it has 3072K, more than the guest's memory of 2048K",
                           {"kernel": bytes(3 * MIB), "mem": 2 * MIB}),
    "kind": (ERR_NOSUP, "no loader of kind 77", {"kernel": CODE, "kind": 77}),
    "nothing known": (ERR_INVAL, "kernel: it is no kernel: neither Linux ('HdrS' at file offset "
                      "0x202), nor a Multiboot header, nor ELF", {"kernel": CODE}),
    **{what: (ERR_INVAL, f"kernel: it is no kernel: it is {what}", {"kernel": magic + bytes(99)})
       for what, magic in (("a gzip file: unpack it first", b"\x1f\x8b"),
                           ("an xz file: unpack it first", b"\xfd7zXZ"),
                           ("a zstd file: unpack it first", b"\x28\xb5\x2f\xfd"),
                           ("a cpio archive, an initrd perhaps: say 'initrd'", b"070701"),
                           ("a PE (EFI) program and no Linux bzImage", b"MZ"),
                           ("a script", b"#!"))},
    **{what: (ERR_INVAL, "kernel: it is no kernel: it is a boot sector, which needs a BIOS, and "
              "guests have none", {"kernel": bytes(510) + b"\x55\xaa" + rest})
       for what, rest in (("boot sector", b""), ("disk", bytes(MIB)))},
    **{f"type={kind}": (ERR_INVAL, f"kernel: type={kind}, but it has no {sign}",
                        {"kernel": CODE, "kind": kind})
       for kind, sign in (("linux", "'HdrS' at file offset 0x202"),
                          ("elf", "0x7f 'ELF' at file offset 0"),
                          ("pvh", "Xen note of type 18 (PVH entry)"),
                          ("freebsd", "FreeBSD kernel's ELF header (OS ABI 9 at file offset 7, "
                           "interpreter /red/herring)"))},
    "type=multiboot": (ERR_INVAL, "kernel: type=multiboot, but it has no Multiboot header "
                       "(0x1badb002, flags, checksum) in its first 8 KiB",
                       {"kernel": CODE, "kind": "multiboot"}),
    "type=multiboot2": (ERR_INVAL, "kernel: type=multiboot2, but it has no Multiboot2 header "
                        "(0xe85250d6 and its checksum) in its first 32 KiB",
                        {"kernel": CODE, "kind": "multiboot2"}),
    "type= of something else": (ERR_INVAL, "kernel: type=linux, but it has no 'HdrS' at file "
                                "offset 0x202; it is a script",
                                {"kernel": b"#!/bin/sh\n" + CODE, "kind": "linux"}),
    # ---- ELF
    "ELF header": (ERR_INVAL, "kernel: it is truncated: it ends at file offset 0x20, within the "
                   "ELF header", {"kernel": elf(32, [Segment(0x200000, CODE)])[:32]}),
    "ELF class": (ERR_INVAL, "kernel: ELF class 3 (file offset 4) is not 1 or 2",
                  {"kernel": patched(elf(32, [Segment(0x200000, CODE)]), (4, "B", 3))}),
    "ELF encoding": (ERR_INVAL, "kernel: ELF data encoding 2 (file offset 5) is not little-endian",
                     {"kernel": elf(32, [Segment(0x200000, CODE)], ident=(2,))}),
    "ELF machine": (ERR_INVAL, "kernel: ELF machine 40 (file offset 18) is neither i386 (3) nor "
                    "x86-64 (62)", {"kernel": elf(32, [Segment(0x200000, CODE)], machine=40)}),
    "program headers": (ERR_INVAL, "kernel: its 1 program headers of 32 bytes at file offset "
                        "0x10000 do not lie in its 0x1[0-9a-f]+ bytes",
                        {"kernel": patched(elf(32, [Segment(0x200000, CODE)]),
                                           (28, "<I", 0x10000))}),
    "file size above memory size": (
        ERR_INVAL, "kernel: segment 0 (header at file offset 0x38) wraps around, or has more bytes "
        "in the file (0x100) than in memory (0x10)",
        {"kernel": elf(32, [Segment(0x200000, CODE, memsz=16)])}),
    "segment truncated": (
        ERR_INVAL, "kernel: it is truncated: segment 0 is 0x5000 bytes at file offset 0x60, the "
        "file ends at 0x160",
        {"kernel": elf(32, [Segment(0x200000, CODE, memsz=0x5000, filesz=0x5000)])}),
    "segment wraps": (ERR_INVAL, "kernel: segment 1 (header at file offset 0x78) wraps around, or "
                      "has more bytes in the file (0x100) than in memory (0x2000)",
                      {"kernel": elf(64, [Segment(0x200000, CODE), Segment(
                          0xfffffffffffff000, CODE, memsz=0x2000)])}),
    "segment is linked to wrap": (
        ERR_INVAL, "kernel: segment 1 (header at file offset 0x78) wraps around, or has more bytes "
        "in the file (0x100) than in memory (0x100)",
        {"kernel": elf(64, [Segment(0x200000, CODE), Segment(0x300000, CODE, vaddr=(1 << 64) - 1)])}),
    "no segment": (ERR_INVAL, "kernel: its segments (headers at file offset 0x40) take no memory",
                   {"kernel": elf(32, [Segment(0, b"xx", kind=im.PT_NOTE)], head=multiboot(),
                                  entry=0)}),
    "segment outside": (ERR_RANGE, "kernel: segment 0 (file offset 0x60) goes to "
                        "0x5000000-0x5000100, outside the guest's memory (mem=65536K)",
                        {"kernel": elf(32, [Segment(0x5000000, CODE)])}),
    "segment on firmware": (ERR_RANGE, "kernel: segment 0 (file offset 0x60) goes to "
                            "0x9f000-0xa1000, where firmware has 0x9fc00-0x100000",
                            {"kernel": elf(32, [Segment(0x9f000, CODE, memsz=0x2000)])}),
    "segments overlap": (ERR_INVAL, "kernel: segment 1 .* goes to 0x200080-0x200180 and overlaps "
                         "0x200000-0x200100",
                         {"kernel": elf(32, [Segment(0x200000, CODE), Segment(0x200080, CODE)])}),
    "relocatable segments overlap": (
        ERR_INVAL, "kernel: its segments (headers at file offset 0x68) overlap",
        {"kernel": elf(32, [Segment(0x200000, CODE)] * 3, head=bytes(4) + multiboot2(
            tag(10, 0x400000, 0x7fffff, 16, 1)))}),
    "too many segments": (ERR_INVAL, "kernel: it has more than 40 separate pieces",
                          {"kernel": elf(32, PAGE_MAP)}),
    "entry": (ERR_INVAL, "kernel: its entry point 0x300000 (file offset 0x18) lies outside "
              "what is loaded",
              {"kernel": elf(32, [Segment(0x200000, CODE)], entry=0x300000)}),
    "entry=": (ERR_INVAL, "kernel: entry=0x300000 lies outside what is loaded",
               {"kernel": elf(32, [Segment(0x200000, CODE)]), "kind": "elf", "entry": 0x300000}),
    "entry above": (ERR_NOSUP, "kernel: its entry point 0x100000000 lies above 4 GiB",
                    {"kernel": elf(64, [Segment(1 << 32, CODE)]), "mem": 4 << 30}),
    "shared object": (ERR_NOSUP, "kernel: ELF type 3 (file offset 16) is not an executable (2)",
                      {"kernel": elf(32, [Segment(0x200000, CODE)], kind=im.DYN)}),
    "no room for a stack": (ERR_RANGE, "no room in the guest's memory for a stack",
                            {"kernel": elf(32, FULL_LOW + [Segment(MIB, b"", memsz=MIB)]),
                             "mem": 2 * MIB}),
    "PVH modules": (ERR_RANGE, "17 modules are too many: 16 at most",
                    {"kernel": elf(32, [Segment(0x200000, CODE)]), "modules": many(17)}),
    "PVH module": (ERR_RANGE, "a module: its 0x4000000 bytes do not fit into memory beside the "
                   "kernel (mem=64M)",
                   {"kernel": elf(32, [Segment(0x200000, CODE)]),
                    "modules": [(bytes(64 * MIB), "", False)]}),
    "no room for information": (
        ERR_RANGE, "no room in the guest's memory for 0x[0-9a-f]+ bytes of boot information",
        {"kernel": elf(32, [Segment(0x500, CODE, memsz=0x9fc00 - 0x500),
                            Segment(MIB, CODE, memsz=MIB), Segment(0, PVH_AT_MIB, kind=im.PT_NOTE)],
                       entry=MIB), "mem": 2 * MIB, "kind": "pvh"}),
    "PVH entry": (ERR_INVAL, "kernel: its entry point 0x200000 (file offset 0x190) lies outside "
                  "what is loaded",
                  {"kernel": elf(32, [Segment(MIB, CODE), Segment(0, PVH_NOTE, kind=im.PT_NOTE)],
                                 entry=MIB), "kind": "pvh"}),
    "PVH entry above": (ERR_NOSUP, "kernel: its entry point 0x100000000 lies above 4 GiB",
                        {"kernel": elf(64, [Segment(1 << 32, CODE, vaddr=0x200000),
                                            Segment(0, PVH_NOTE, kind=im.PT_NOTE)]),
                         "mem": 4 << 30, "kind": "pvh"}),
    # ---- flat
    "flat entry": (ERR_INVAL, "kernel: entry=0x10 lies outside the file's 0x100 bytes at 0x200000",
                   {"kernel": CODE, "kind": "flat", "base": 0x200000, "entry": 0x10}),
    "flat above": (ERR_NOSUP, "kernel: it loads above 4 GiB",
                   {"kernel": CODE, "kind": "flat", "base": 1 << 32, "mem": 4 << 30}),
    "flat wraps": (ERR_INVAL, "kernel: the file is 0x100 bytes at 0xfffffffffffffff0: the sum wraps",
                   {"kernel": CODE, "kind": "flat", "base": (1 << 64) - 16}),
    # ---- Linux
    "Linux truncated": (ERR_INVAL, "kernel: it is truncated: it ends at file offset 0x280, within "
                        "the Linux setup header", {"kernel": linux()[:0x280]}),
    "Linux version": (ERR_NOSUP, "kernel: its boot protocol (file offset 0x206) is 2.05; 2.06 "
                      "(Linux 2.6.22) is the oldest that will do",
                      {"kernel": linux((0x206, "<H", 0x205))}),
    "zImage": (ERR_NOSUP, "kernel: it is a zImage that loads below 640 KiB (file offset 0x211); "
               "build a bzImage", {"kernel": linux((0x211, "B", 0))}),
    "Linux header": (ERR_INVAL, "kernel: the setup header ends at 0x210 as file offset 0x201 says, "
                     "not between 0x23c and 0x290", {"kernel": linux((0x201, "B", 0x0e))}),
    "no code": (ERR_INVAL, "kernel: the setup header gives no kernel: 1 setup sectors (file offset "
                "0x1f1), code of 0x0 bytes (0x1f4)", {"kernel": linux((0x1f4, "<I", 0))}),
    "code truncated": (ERR_INVAL, "kernel: it is truncated: it ends at file offset 0x4400, its "
                       "setup header says 0x10400", {"kernel": linux((0x1f4, "<I", 0x1000))}),
    "alignment": (ERR_INVAL, "kernel: kernel_alignment (file offset 0x230) is 0x300000, not a "
                  "power of two", {"kernel": linux((0x230, "<I", 0x300000))}),
    "64-bit entry": (ERR_INVAL, "kernel: the 64-bit entry (file offset 0x236) lies "
                     "behind the kernel's end",
                     {"kernel": linux((0x236, "<H", 1), size=0x100)}),
    "Linux, too little": (ERR_RANGE, "kernel: it needs 0x10000000 bytes at 0x100000 or above to "
                          "start, mem=64M gives too little",
                          {"kernel": linux((0x260, "<I", 256 * MIB))}),
    "Linux, fixed": (ERR_RANGE, "kernel: it needs 0x14000 bytes at 0x5000000 to start, mem=64M "
                     "gives too little", {"kernel": linux((0x258, "<Q", 0x5000000), reloc=False)}),
    "Linux module": (ERR_INVAL, "a module: a Linux kernel takes no modules: say 'initrd', not "
                     "'module'", {"kernel": linux(), "modules": many(1)}),
    "empty initrd": (ERR_INVAL, "a module: the initrd is empty",
                     {"kernel": linux(), "modules": [(b"", "", True)]}),
    "initrd": (ERR_RANGE, "the initrd of 65536K does not fit beside the kernel (0x[0-9a-f]+-"
               "0x[0-9a-f]+) below 0x4000000, mem=64M",
               {"kernel": linux(), "modules": [(bytes(64 * MIB), "", True)]}),
    "Linux command line": (ERR_RANGE, "kernel: the command line has 2048 bytes, this kernel takes "
                           "2047 at most", {"kernel": linux(), "cmdline": "x" * 2048}),
    # ---- Multiboot 1
    "Multiboot flags": (ERR_NOSUP, "kernel: its Multiboot header at file offset 0x34 requires "
                        "flags 0x9; only bits 0, 1, 2 and 16 are known", {"kernel": mb1(9)}),
    "Multiboot, not ELF": (ERR_INVAL, "kernel: it is neither ELF nor has its Multiboot header "
                           "(file offset 0x0) address fields: flag bit 16 is clear",
                           {"kernel": multiboot() + CODE}),
    "Multiboot addresses": (ERR_INVAL, "kernel: it is truncated: its Multiboot header at file "
                            "offset 0x0 has no address fields",
                            {"kernel": multiboot(1 << 16) + b"12345678"}),
    "kludge before the file": (ERR_INVAL, "kernel: its header at file offset 0x0 says load_addr "
                               "0x1ff000, header_addr 0x200000: that begins before the file",
                               {"kernel": kludge(0x200000, 0x1ff000, 0, 0, 0x200000)}),
    "kludge truncated": (ERR_INVAL, "kernel: it is truncated: load_end_addr 0x210000 asks for "
                         "0x10000 bytes from file offset 0x0, the file ends at 0x120",
                         {"kernel": kludge(0x200000, 0x200000, 0x210000, 0, 0x200000)}),
    "kludge entry": (ERR_INVAL, "kernel: its entry point 0x1fffff (file offset 0x1c) lies outside "
                     "what is loaded",
                     {"kernel": kludge(0x200000, 0x200000, 0, 0, 0x1fffff)}),
    "kludge bss": (ERR_INVAL, "kernel: bss_end_addr 0x200010 (header at file offset 0x0) is "
                   "below the loaded image",
                   {"kernel": kludge(0x200000, 0x200000, 0x200100, 0x200010, 0x200000)}),
    "kludge outside": (ERR_RANGE, "kernel: its image goes to 0x5000000-0x5000100, outside the "
                       "guest's memory (mem=65536K)",
                       {"kernel": kludge(0x5000000, 0x5000000, 0x5000100, 0, 0x5000000)}),
    "Multiboot above": (ERR_NOSUP, "kernel: it loads above 4 GiB",
                        {"kernel": elf(64, [Segment(1 << 32, CODE)], head=multiboot()),
                         "mem": 4 << 30}),
    "Multiboot entry": (ERR_INVAL, "kernel: its entry point 0x300000 (file offset 0x18) lies outside "
                        "what is loaded",
                        {"kernel": mb1(entry=0x300000)}),
    "Multiboot modules": (ERR_RANGE, "17 modules are too many: 16 at most",
                          {"kernel": mb1(), "modules": many(17)}),
    "Multiboot module": (ERR_RANGE, "a module: 0x4000000 bytes do not fit into memory behind the "
                         "kernel, which ends at 0x200100 (mem=64M)",
                         {"kernel": mb1(), "modules": [(bytes(64 * MIB), "", False)]}),
    "symbols": (ERR_RANGE, "kernel: its sections of 0x99 bytes (symbols) do not fit into memory "
                "behind it (mem=2M)",
                {"kernel": mb1(segment=Segment(MIB, CODE, memsz=MIB), sections=im.symbols(32)),
                 "mem": 2 * MIB}),
    # ---- Multiboot 2
    "Multiboot2 architecture": (ERR_NOSUP, "kernel: its Multiboot2 header at file offset 0x0 is "
                                "for architecture 4, not i386 (0)", {"kernel": raw2(arch=4)}),
    "Multiboot2 size": (ERR_INVAL, "kernel: its Multiboot2 header at file offset 0x0 has 0x5000 "
                        "bytes, the file ends at 0x118", {"kernel": raw2(size=0x5000)}),
    "Multiboot2 request": (ERR_NOSUP, "kernel: it requires boot information of type 8 (file offset "
                           "0x54), which there is not", {"kernel": mb2(tag(1, 1, 8))}),
    **{f"Multiboot2 tag {words}": (ERR_NOSUP, f"kernel: its Multiboot2 header tag {kind} at file "
                                   f"offset 0x48 {what}", {"kernel": mb2(made)})
       for words, kind, made, what in (
           ("short", 3, tag(3), "is too short"), ("long", 6, tag(6, size=0x1000),
                                                  "runs out of the header"),
           ("unknown", 77, tag(77), "is required and not known"),
           ("console", 4, tag(4, 1), "requires a text or graphics screen, and there is none"),
           ("alignment", 10, tag(10, 0x200000, 0x800000, 3, 0),
            "has an alignment that is no power of two"))},
    "Multiboot2 nowhere": (ERR_RANGE, "kernel: its 0x100 bytes fit nowhere between 0x5000000 and "
                           "0x4000000 (mem=64M)",
                           {"kernel": mb2(tag(10, 0x5000000, 0x6000000, 0x1000, 1))}),
    "Multiboot2 entry": (ERR_INVAL, "kernel: its entry point 0x300000 (file offset 0x50) lies "
                         "outside what is loaded",
                         {"kernel": mb2(tag(3, 0x300000))}),
    "Multiboot2 backwards": (ERR_INVAL, "kernel: its Multiboot2 header at file offset 0x0 ends "
                             "the image at 0x1000, below load_addr 0x200000",
                             {"kernel": raw2(tag(2, 0x200000, 0x200000, 0x1000, 0),
                                             tag(3, 0x200000), tag(10, 0, 0xffffffff, 1, 1))}),
    "Multiboot2, no addresses": (ERR_INVAL, "kernel: it is neither ELF nor has its Multiboot2 "
                                 "header (file offset 0x0) an address tag", {"kernel": raw2()}),
    "Multiboot2, no entry": (ERR_INVAL, "kernel: its Multiboot2 header (file offset 0x0) has an "
                             "address tag, but no entry tag",
                             {"kernel": raw2(tag(2, 0x200000, 0x200000, 0, 0))}),
    # ---- FreeBSD
    "FreeBSD segment": (
        ERR_INVAL, "kernel: it is truncated: segment 0 is 0x4000 bytes at file offset 0x80, the file "
        "ends at 0x190", {"kernel": bsd(Segment(0x400000, CODE, filesz=0x4000))}),
    "FreeBSD above": (ERR_NOSUP, "kernel: it loads above 4 GiB",
                      {"kernel": bsd(Segment(0x400000, CODE), Segment(1 << 32, CODE), bits=64),
                       "mem": 4 << 30}),
    "FreeBSD entry": (ERR_INVAL, "kernel: its entry point 0x800000 (file offset 0x18) lies outside "
                      "what is loaded", {"kernel": bsd(entry=0x800000)}),
    "FreeBSD, nothing": (ERR_INVAL, "kernel: its entry point 0x400000 (file offset 0x18) lies outside "
                         "what is loaded",
                         {"kernel": elf(32, [Segment(0, b"/red/herring\0", kind=im.PT_INTERP)],
                                        osabi=9, entry=0x400000)}),
    "FreeBSD modules": (ERR_RANGE, "17 modules are too many: 16 at most",
                        {"kernel": bsd(), "modules": many(17)}),
    "FreeBSD class": (ERR_INVAL, "a module: it is ELF64, but the kernel is ELF32",
                      bsd_module(elf(64, [Segment(0, CODE)], kind=im.DYN))),
    "FreeBSD module": (ERR_RANGE, "a module: its 0x4000000 bytes do not fit behind 0x400100 "
                       "(mem=64M)", bsd_module(bytes(64 * MIB))),
    "FreeBSD shared, overlaps": (
        ERR_INVAL, "a module: its segments (headers at file offset 0x38) overlap",
        bsd_module(elf(32, [Segment(0, CODE)] * 2, kind=im.DYN))),
    "FreeBSD shared": (ERR_INVAL, "a module: its segments (headers at file offset 0x38) take "
                       "no memory",
                       bsd_module(elf(32, [Segment(0, b"x", kind=im.PT_NOTE)], kind=im.DYN))),
    "object, no sections": (ERR_INVAL, "a module: an object with 0 sections (file offset "
                            "0x0) is no module (1 to 4096)", bsd_module(obj([]))),
    "object, no symbols": (ERR_INVAL, "a module: it has no symbol table",
                           bsd_module(obj([Section(0), Section(1, CODE, flags=2)]))),
    "object, section": (ERR_INVAL, "a module: section 3 (0x100 bytes at file offset 0x[0-9a-f]+, "
                        "alignment 0x3) does not lie in the file",
                        bsd_module(obj(im.symbols(32) + [Section(1, CODE, flags=2, align=3)]))),
}

# Sentences that no image can bring about: checks behind checks.
BEHIND = {
    "0x%llx bytes at 0x%llx are not in the guest's memory": "claims are checked against RAM first",
    "it is not ELF: no 0x7f 'ELF' at file offset 0": "a probe has seen it",
    "no memory for 0x%llx bytes at 0x%llx of the guest": "test_writer_fails",
    "the boot information outgrows its room": "its size is reckoned before",
}


def pattern(sentence):
    """The sentence as a regular expression: parentheses are plain, the rest may be one."""
    return re.sub(r"[()]", lambda m: "\\" + m[0], sentence)


def refusal(arguments):
    with pytest.raises(loading.Refused) as caught:
        loading.load(**arguments)
    return caught.value


@pytest.mark.parametrize("name", TABLE)
def test_refusal(name):
    """The error, and one sentence: no newline, no stop, room for all of it."""
    error, sentence, arguments = TABLE[name]
    said = refusal(arguments)
    assert re.fullmatch(pattern(sentence), said.text), said.text
    assert said.error == error
    assert "\n" not in said.text and not said.text.endswith(".") and len(said.text) < 190


# What is wrong there is nowhere in the file: something is not in it, or memory ends.
NOWHERE = ("it is no kernel: ", "no symbol table", "the file is empty", "the initrd is empty",
           "entry=", "type=", "no loader of kind", "above 4 GiB", "a Linux kernel takes no modules",
           "but the kernel is ELF", "the sum wraps", "it has more than ")


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row[0] != ERR_RANGE])
def test_place(name):
    """What is wrong with a file is said with its place in the file."""
    said = refusal(TABLE[name][2]).text
    assert "file offset" in said or any(words in said for words in NOWHERE), said


def sentences():
    """The format strings of every ctx_fail and ctx_fail_image in vmm/load."""
    for path in glob.glob(os.path.join(ROOT, "vmm/load/*.c")):
        with open(path, encoding="utf-8") as f:
            calls = re.findall(r"ctx_fail(?:_image)?\(([^;]*?)\);", f.read(), re.S)
        for call in calls:
            first = re.search(r'"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*', call)
            if first:
                yield "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', first[0]))


def test_no_sentence_untested():
    """Each sentence in the source is one of the table's, or known to stand behind another check."""
    said = [refusal(arguments).text for _, _, arguments in TABLE.values()]
    missing = []
    for text in sentences():
        if text in BEHIND:
            continue
        number = re.sub(r"%(?:llu|llx|u|x|d|02u|\.64s|s)", "\0", text.replace("\\n", "\n"))
        wanted = re.escape(number).replace(re.escape("\0"), ".*")
        if not any(re.fullmatch(f"(kernel: |a module: )?{wanted}", s) for s in said):
            missing.append(text)
    assert not missing, missing
