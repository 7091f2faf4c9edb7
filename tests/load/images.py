# SPDX-License-Identifier: BSD-2-Clause
"""Makes kernel images: ELF files, Multiboot headers, Linux kernels, with any field overwritten."""
import struct

PT_LOAD, PT_NOTE, PT_INTERP = 1, 4, 3
EXEC, DYN, REL = 2, 3, 1


class Segment:
    """A program header and its bytes; memsz and vaddr follow from them unless given."""

    def __init__(self, paddr, data=b"", memsz=None, vaddr=None, kind=PT_LOAD, filesz=None,
                 offset=None):
        self.paddr, self.data, self.kind, self.offset = paddr, data, kind, offset
        self.filesz = len(data) if filesz is None else filesz
        self.memsz = self.filesz if memsz is None else memsz
        self.vaddr = paddr if vaddr is None else vaddr


class Section:
    def __init__(self, kind, data=b"", addr=0, flags=0, link=0, info=0, align=1, size=None,
                 offset=None, name=0):
        self.kind, self.data, self.addr, self.flags = kind, data, addr, flags
        self.link, self.info, self.align, self.offset, self.name = link, info, align, offset, name
        self.size = len(data) if size is None else size


def elf(bits=32, segments=(), sections=(), entry=None, head=b"", machine=None, kind=EXEC,
        osabi=0, phentsize=None, shstrndx=0, ident=(1,)):
    """An ELF file. head: bytes right behind the ELF header, where a Multiboot header may stand."""
    wide = bits == 64
    ehsize, phsize, shsize = (64, 56, 64) if wide else (52, 32, 40)
    phentsize = phsize if phentsize is None else phentsize
    body = bytearray(head) + bytes(-(ehsize + len(head)) % 8)
    phoff = ehsize + len(body)
    body += bytes(phentsize * len(segments))
    table = bytearray()
    for s in segments:
        body += bytes(-(ehsize + len(body)) % 16)
        offset = ehsize + len(body) if s.offset is None else s.offset
        body += s.data
        align = 4 if s.kind == PT_NOTE else 16
        header = (struct.pack("<IIQQQQQQ", s.kind, 7, offset, s.vaddr, s.paddr, s.filesz, s.memsz,
                              align) if wide else
                  struct.pack("<IIIIIIII", s.kind, offset, s.vaddr & 0xffffffff, s.paddr, s.filesz,
                              s.memsz, 7, align))
        table += header + bytes(max(phentsize - phsize, 0))
    body[phoff - ehsize:phoff - ehsize + len(table)] = table
    headers = b""
    for s in sections:
        body += bytes(-(ehsize + len(body)) % 8)
        offset = ehsize + len(body) if s.offset is None else s.offset
        body += s.data
        headers += struct.pack("<IIQQQQIIQQ" if wide else "<IIIIIIIIII", s.name, s.kind, s.flags,
                               s.addr, offset, s.size, s.link, s.info, s.align, 0)
    body += bytes(-(ehsize + len(body)) % 8)
    shoff = ehsize + len(body) if sections else 0
    entry = (segments[0].vaddr if segments else 0) if entry is None else entry
    identity = b"\177ELF" + bytes([2 if wide else 1, ident[0], 1, osabi]) + bytes(8)
    machine = (62 if wide else 3) if machine is None else machine
    header = identity + struct.pack("<HHIQQQI" if wide else "<HHIIIII", kind, machine, 1,
                                    entry if wide else entry & 0xffffffff, phoff, shoff, 0)
    header += struct.pack("<HHHHHH", ehsize, phentsize, len(segments), shsize, len(sections),
                          shstrndx)
    return bytes(header + body + headers)


def note(owner, kind, data):
    owner = owner + b"\0"
    return (struct.pack("<III", len(owner), len(data), kind) + owner + bytes(-len(owner) % 4) +
            data + bytes(-len(data) % 4))


def multiboot(flags=0, addresses=None):
    """A Multiboot 1 header. addresses: header, load, load end, bss end, entry."""
    if addresses:
        flags |= 1 << 16
    header = struct.pack("<III", 0x1badb002, flags, -(0x1badb002 + flags) & 0xffffffff)
    return header + (struct.pack("<IIIII", *addresses) if addresses else b"")


def tag(kind, *words, flags=0, size=None):
    data = struct.pack(f"<{len(words)}I", *words)
    size = 8 + len(data) if size is None else size
    return struct.pack("<HHI", kind, flags, size) + data + bytes(-len(data) % 8)


def multiboot2(*tags, arch=0, size=None):
    body = b"".join(tags) + tag(0)
    size = 16 + len(body) if size is None else size
    total = -(0xe85250d6 + arch + size) & 0xffffffff
    return struct.pack("<IIII", 0xe85250d6, arch, size, total) + body


def symbols(bits, first=0):
    """Sections with symbols: null, symbol table (linked to the next), strings."""
    return [Section(0), Section(2, bytes(range(48)) * 3, link=first + 2), Section(3, b"\0one\0two\0")]


def patched(image, *changes):
    """The image with (offset, layout, value) written over it."""
    image = bytearray(image)
    for offset, layout, value in changes:
        struct.pack_into(layout, image, offset, value)
    return bytes(image)
