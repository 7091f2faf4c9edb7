# SPDX-License-Identifier: BSD-2-Clause
"""Kinds of kernel beside bzImage and Multiboot 1: PVH, Multiboot 2, ELF, flat, FreeBSD's way."""
import io
import lzma
import os
import re
import struct
import subprocess
import sys

import pytest

import guests
import image
from machines import SKEP, machine, on, plain, skep_iso
from tree import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests/load"))
import images  # noqa: E402


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


def unlz4_block(data):
    """Bytes as they are and copies of what came before, by turns, behind the lengths of both."""
    stream, out = io.BytesIO(data), bytearray()

    def length(nibble):
        if nibble == 15:
            while (more := stream.read(1)[0]) == 255:
                nibble += 255
            nibble += more
        return nibble

    while token := stream.read(1):
        out += stream.read(length(token[0] >> 4))
        if back := int.from_bytes(stream.read(2), "little"):
            count = length(token[0] & 15) + 4
            start = len(out) - back
            while count > 0:  # a copy may overlap what it writes
                piece = out[start:start + count]
                out += piece
                count -= len(piece)
    return bytes(out)


def unlz4(data):
    """LZ4's legacy frame format: a magic number, then blocks behind their sizes."""
    out, at = [], 4
    while at + 4 <= len(data):
        size, = struct.unpack_from("<I", data, at)
        out.append(unlz4_block(data[at + 4:at + 4 + size]))
        at += 4 + size
    return b"".join(out)


def vmlinux(arch):
    """The ELF file inside Debian's bzImage; unpacked once."""
    kernel = image.debian(arch)[0]
    path = image.path("build/guest", f"vmlinux-{arch}")
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(kernel):
        with open(kernel, "rb") as f:
            data = f.read()
        offset, length = struct.unpack_from("<II", data, 0x248)
        offset += (data[0x1f1] + 1) * 512
        payload = data[offset:offset + length]
        if payload.startswith(b"\xfd7zXZ"):
            elf = lzma.LZMADecompressor().decompress(payload)
        else:
            elf = unlz4(payload[:-4])
        with open(path + ".new", "wb") as f:
            f.write(elf)
        os.rename(path + ".new", path)
    return path


@pytest.mark.parametrize("arch", ("amd64", "i386"))
@pytest.mark.parametrize("host", on("qemu"))
def test_vmlinux_by_pvh(host, arch, workdir):
    """Debian's vmlinux starts by its PVH note, finds its initrd, and powers off."""
    guest = image.Guest("linux", vmlinux(arch), "mem=256M", "console=ttyS0",
                        image.debian(arch)[1])
    with machine(host, workdir, skep_iso(workdir, [guest]), mem=768) as m:
        m.expect(r"vm linux: PVH kernel, ELF(32|64), 256 MiB", 120)
        m.expect(r"ready\. A shell follows", 200)
        m.send_line("cat /proc/cmdline; poweroff")
        m.expect(r"skep: vm linux: powered off", 60)


def cpio(name, content):
    """A newc archive with one file, not padded to any block."""
    out = io.BytesIO()
    for path, mode, data in ((name, 0o100644, content), ("TRAILER!!!", 0, b"")):
        fields = (1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path) + 1, 0)
        out.write(b"070701" + b"".join(b"%08X" % f for f in fields) + path.encode() + b"\0")
        out.write(bytes(-out.tell() % 4))
        out.write(data)
        out.write(bytes(-out.tell() % 4))
    return out.getvalue()


def test_several_initrds(workdir):
    """Three initrds, the first and the last of odd length: all their files are there."""
    kernel, initrd = image.debian("amd64")
    guest = image.Guest("linux", kernel, "mem=256M", "console=ttyS0 quiet", initrd)
    lines = ["module2 /boot/two vm=linux initrd", "module2 /boot/three vm=linux initrd"]
    files = {"two": cpio("two", b"this is two"), "three": cpio("three", b"and three\n" * 999)}
    with machine("qemu", workdir, skep_iso(workdir, [guest], lines=lines, files=files)) as m:
        m.expect(r"ready\. A shell follows", 100)
        m.send_line("echo =$(cat /two)= $(wc -l < /three)=; poweroff")
        m.expect(r"=this is two= 999=", 20)
        m.expect(r"skep: vm linux: powered off", 60)


@pytest.mark.parametrize("host,kind", [
    pytest.param(*p, marks=pytest.mark.xdist_group(p[0])) for p in (
        ("qemu", "multiboot2"), ("bochs-skylake_x", "pvh"), ("bochs-lynnfield", "multiboot2"))])
def test_skep_in_skep(host, kind, workdir):
    """skep is a Multiboot 2 kernel and a PVH one; as a guest it says that it cannot run guests."""
    inner = image.Guest("inner", SKEP, f"mem=64M type={kind}", "console=com1 idle=poweroff")
    with machine(host, workdir, skep_iso(workdir, [inner])) as m:
        m.expect(r"skep: no virtual machine can run: the processor offers neither VMX nor SVM", 120)
        m.wait_end(60)


def assemble(workdir, name, source, bits, *link):
    """An ELF file of a few lines of assembly; the path."""
    path = os.path.join(workdir, name)
    with open(path + ".S", "w", encoding="ascii") as f:
        f.write(source)
    run("gcc", f"-m{bits}", "-nostdlib", "-static", "-Wl,--build-id=none", "-Wl,-N", *link,
        "-o", path, path + ".S")
    return path


# Whether EBX leads to a PVH start information, and the stack can be used: status 33, or 99.
CHECK_EBX = """
    .globl _start
_start:
    cmp $0x336ec578, %eax
    jne 1f
    cmpl $0x336ec578, ({b})
    jne 1f
    push ${a}
    pop {c}
    cmp ${a}, {c}
    jne 1f
    mov $33, %al
    jmp 2f
1:  mov $99, %al
2:  out %al, $0xf4
3:  hlt
    jmp 3b
other:
    mov $44, %al
    jmp 2b
    .globl other
"""


def placed(magic, header):
    """A file that its Multiboot header puts at 3 MiB and enters behind the header; there it looks for
    the magic number in EAX: status 55, or 99."""
    code = (b"\x3d" + struct.pack("<I", magic) +           # cmp $magic, %eax
            b"\xb0\x37\x74\x02\xb0\x63\xe6\xf4\xf4\xeb\xfd")  # mov, je, mov, out; hlt
    return header(0x300000 + len(header(0))) + code


def header1(entry):
    return images.multiboot(0, (0x300000, 0x300000, 0, 0x310000, entry))


def header2(entry):
    return images.multiboot2(images.tag(2, 0x300000, 0x300000, 0, 0x310000), images.tag(3, entry))


@pytest.mark.parametrize("host", on("qemu", "bochs-skylake_x", "bochs-zambezi"))
def test_elf_and_flat(host, workdir):
    """Plain ELF of both classes, with an entry of one's own too, a flat binary, and files that are
    placed by their Multiboot headers' addresses."""
    narrow = CHECK_EBX.format(a=77, b="%ebx", c="%ecx")
    e32 = assemble(workdir, "e32", narrow, 32, "-Wl,-Ttext=0x200000")
    e64 = assemble(workdir, "e64", CHECK_EBX.format(a=77, b="%rdi", c="%rcx"), 64,
                   "-Wl,-Ttext=0x200000")
    flat = os.path.join(workdir, "flat")
    run("objcopy", "-O", "binary", e32, flat)
    symbols = subprocess.run(["nm", e32], check=True, capture_output=True, text=True).stdout
    other = int(re.search(r"^(\w+) . other$", symbols, re.M).group(1), 16)
    at = other - 0x200000
    guests = [image.Guest("e32", e32, "mem=8M testdev"),
              image.Guest("e64", e64, "mem=8M testdev"),
              image.Guest("own", e32, f"mem=8M testdev type=elf entry={other:#x}"),
              image.Guest("flat", flat, "mem=8M testdev type=flat"),
              image.Guest("low", flat, f"mem=8M testdev type=flat base=0x8000 "
                                       f"entry={0x8000 + at:#x}"),
              image.Guest("one", placed(0x2badb002, header1), "mem=8M testdev"),
              image.Guest("two", placed(0x36d76289, header2), "mem=8M testdev"),
              image.Guest("bad", flat, "mem=8M testdev type=flat entry=0x10"),
              image.Guest("wrong", flat, "mem=8M testdev base=1M"),
              image.Guest("sector", bytes(510) + b"\x55\xaa", "mem=8M"),
              image.Guest("bios", bytes(510) + b"\x55\xaa", "mem=8M type=boot")]
    with machine(host, workdir, skep_iso(workdir, guests)) as m:
        m.wait_end(120)
        said = plain(m.console)
    for name, status in (("e32", 33), ("e64", 33), ("own", 44), ("flat", 33), ("low", 44),
                         ("one", 55), ("two", 55)):
        assert f"skep: vm {name}: exited, status {status}\n" in said, m.tail(60)
    assert re.search(r"vm bad: .*entry=0x10 lies outside the file", said)
    assert re.search(r"vm wrong: .*'base=' is for type=flat only", said)
    assert re.search(r"vm sector: .*a boot sector, which needs a BIOS, and guests have none", said)
    assert re.search(r"vm bios: .*'type=' takes auto, linux, multiboot, ", said)


def section(path, name):
    """A section's bytes, by objcopy's reading."""
    out = path + name
    run("objcopy", "-O", "binary", "-j", name, path, out)
    with open(out, "rb") as f:
        return f.read()


def module(workdir, bits, shared):
    """A FreeBSD kernel module of a few lines, shared (i386's kind) or relocatable (amd64's)."""
    source, ko = os.path.join(workdir, "foo.c"), os.path.join(workdir, "foo.ko")
    with open(source, "w", encoding="ascii") as f:
        f.write("int foo_data[99] = {1, 2, 3}; int foo_bss[5000];\n"
                "int foo(int x) { return foo_data[x] + foo_bss[x]; }\n")
    how = (("-shared", "-fPIC", "-Wl,--build-id=none", "-Wl,-z,max-page-size=4096") if shared else
           ("-c", "-fno-pic", *(("-mcmodel=kernel",) if bits == 64 else ())))
    run("gcc", f"-m{bits}", "-O1", "-ffreestanding", "-nostdlib", "-fno-asynchronous-unwind-tables",
        *how, "-o", ko, source)
    return ko


@pytest.mark.parametrize("host,bits,shared", [
    pytest.param(*p, marks=pytest.mark.xdist_group(p[0])) for p in (
        ("qemu", 32, True), ("qemu", 64, False), ("qemu", 32, False), ("bochs-skylake_x", 64, True))])
def test_freebsd(host, bits, shared, workdir):
    """Modules as FreeBSD's loader puts them into memory, shared and relocatable, with their
    metadata; the promise program checks all else (guests/promise/freebsd.c)."""
    bsd = guests.promise(f"freebsd{bits}", name="bsd", modules=0)
    bsd.cmdline = "-sv boot_test=YES words=ram=64,cpus=1,modules=2"
    ko = module(workdir, bits, shared)
    disk = bytes(range(251)) * 77
    bsd.modules = [(ko, "module -- /boot/kernel/foo.ko"),
                   (disk, "module -- -t md_image /root.img more")]
    with machine(host, workdir, skep_iso(workdir, [bsd])) as m:
        m.wait_end(120)
        said = plain(m.console)
    assert "skep: vm bsd: exited, status 0\n" in said, m.tail(60)
    assert f"FreeBSD {'amd64' if bits == 64 else 'i386'} kernel, 2 modules" in said
    for line in ("file /boot/kernel/kernel", "file-type /boot/kernel/kernel elf kernel",
                 "file-args /boot/kernel/kernel -sv boot_test=YES words=ram=64,cpus=1,modules=2",
                 "env boot_test=YES", "file /root.img", "file-type /root.img md_image",
                 "file-args /root.img more",
                 f"file-size /root.img {len(disk):x} sum {sum(disk):x}"):
        assert f"is {line}\n" in said, line
    kind = "elf module" if shared else "elf obj module"
    assert f"is file-type /boot/kernel/foo.ko {kind}\n" in said
    if shared:
        assert re.search(r"^is file-dynamic /boot/kernel/foo\.ko [0-9a-f]+$", said, re.M)
    else:
        text = sum(section(ko, ".text"))
        assert f"is object-text /boot/kernel/foo.ko {text:x}\n" in said
