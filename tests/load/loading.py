# SPDX-License-Identifier: BSD-2-Clause
"""vmm/load called from Python: an image and a description of a VM in, memory and registers out.

Every write that a loader asks for is checked against the board's RAM, and may be made to fail.
"""
import ctypes as c
import mmap
import os

from tree import ROOT, make

KINDS = ("auto", "linux", "multiboot", "multiboot2", "pvh", "elf", "freebsd", "flat")
GPRS = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split()
SEGS = "es cs ss ds fs gs ldtr tr".split()
ERR_NOMEM, ERR_INVAL, ERR_RANGE, ERR_NOSUP = -1, -2, -3, -6
HOLE, HIGH, VGA, SHADOW = 0xc0000000, 0x100000000, 0xa0000, 0xc0000


class Image(c.Structure):
    _fields_ = [("data", c.c_char_p), ("size", c.c_uint64), ("name", c.c_char_p),
                ("cmdline", c.c_char_p)]


class Module(c.Structure):
    _fields_ = [("image", Image), ("initrd", c.c_bool)]


class Request(c.Structure):
    _fields_ = [("kind", c.c_int), ("kernel", Image), ("modules", c.POINTER(Module)),
                ("module_count", c.c_uint), ("mem_size", c.c_uint64), ("vcpus", c.c_uint),
                ("has_base", c.c_bool), ("has_entry", c.c_bool), ("base", c.c_uint64),
                ("entry", c.c_uint64), ("unrestricted", c.c_bool)]


class Segment(c.Structure):
    _fields_ = [("sel", c.c_uint16), ("attr", c.c_uint32), ("limit", c.c_uint32),
                ("base", c.c_uint64)]


class Table(c.Structure):
    _fields_ = [("base", c.c_uint64), ("limit", c.c_uint16)]


class State(c.Structure):
    _fields_ = [("gpr", c.c_uint64 * 16), ("rip", c.c_uint64),
                ("rflags", c.c_uint64), ("cr0", c.c_uint64), ("cr3", c.c_uint64),
                ("cr4", c.c_uint64), ("efer", c.c_uint64), ("seg", Segment * 8), ("gdt", Table),
                ("idt", Table), ("kind", c.c_int), ("what", c.c_char * 80)]

    def __getattr__(self, name):
        if name in GPRS:
            return self.gpr[GPRS.index(name)]
        if name in SEGS:
            return self.seg[SEGS.index(name)]
        raise AttributeError(name)


WRITE = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_uint64, c.c_void_p, c.c_uint64)
ZERO = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_uint64, c.c_uint64)


class Memory(c.Structure):
    _fields_ = [("write", WRITE), ("zero", ZERO), ("arg", c.c_void_p)]


class Refused(Exception):
    """A load that failed: its error and its sentence."""

    def __init__(self, error, text):
        super().__init__(text)
        self.error, self.text = error, text


def library():
    """build/host/libload.so, brought up to date."""
    if not hasattr(library, "lib"):
        out = make("-s", "build/host/libload.so")
        assert out.returncode == 0, out.stdout[-3000:]
        library.lib = c.CDLL(os.path.join(ROOT, "build/host/libload.so"))
    return library.lib


class Guest:
    """A load's outcome: memory as read(), and state."""

    def __init__(self, size, fail_at=None):
        self.size, self.fail_at, self.calls, self.faults = size, fail_at, 0, []
        self.memory = mmap.mmap(-1, max(min(size, HOLE), 1 << 20))
        self.high = {}
        self.state = State()

    def is_ram(self, gpa, length):
        end = gpa + length
        return (end <= VGA or SHADOW <= gpa and end <= min(self.size, HOLE) or
                self.size > HOLE and HIGH <= gpa and end <= HIGH + self.size - HOLE)

    def _put(self, gpa, data):
        self.calls += 1
        if not data or not self.is_ram(gpa, len(data)):
            self.faults.append((gpa, len(data)))
            return ERR_RANGE
        if self.fail_at is not None and self.calls > self.fail_at:
            return ERR_NOMEM
        if gpa >= HIGH:
            self.high[gpa] = data
        else:
            self.memory[gpa:gpa + len(data)] = data
        return 0

    def read(self, gpa, length):
        assert self.is_ram(gpa, length), hex(gpa)
        return self.memory[gpa:gpa + length]

    def u(self, gpa, size):
        return int.from_bytes(self.read(gpa, size), "little")

    def text(self, gpa):
        return self.memory[gpa:self.memory.find(b"\0", gpa)].decode("latin-1")


def load(kernel, kind="auto", mem=64 << 20, cmdline="", modules=(), vcpus=1, base=None, entry=None,
         fail_at=None):
    """Loads it. modules: (bytes, command line, initrd or not). Gives a Guest or raises Refused."""
    guest = Guest(mem, fail_at)
    each = (Module * len(modules))(*[
        Module(Image(data, len(data), None, text.encode()), initrd)
        for data, text, initrd in modules])
    request = Request(KINDS.index(kind) if isinstance(kind, str) else kind,
                      Image(kernel, len(kernel), None, cmdline.encode()), each, len(modules), mem,
                      vcpus, base is not None, entry is not None, base or 0, entry or 0, True)
    write = WRITE(lambda _, gpa, data, n: guest._put(gpa, c.string_at(data, n)))
    zero = ZERO(lambda _, gpa, n: guest._put(gpa, bytes(n)))
    error = c.create_string_buffer(192)
    result = library().load_guest(c.byref(request), c.byref(Memory(write, zero, None)),
                                  c.byref(guest.state), error)
    assert not guest.faults, guest.faults
    if result:
        raise Refused(result, error.value.decode())
    return guest
