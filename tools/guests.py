# SPDX-License-Identifier: BSD-2-Clause
"""Guests by name, as `make run GUEST=NAME` starts them: where each comes from, and its words.

What a guest is made of is downloaded (tools/fetch) or built (make) when it is asked for.
"""
import os
import struct
import subprocess

import image


def make(*targets):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    subprocess.run(["make", "-s", *targets], cwd=image.ROOT, env=env, check=True)


def fetched(thing, *files):
    """Paths in build/cache/THING, downloaded if they are not there."""
    subprocess.run([image.path("tools/fetch"), thing], check=True)
    return [image.path("build/cache", thing, f) for f in files]


def built(*names):
    """Paths in build/guests, built or brought up to date."""
    paths = [f"build/guests/{n}" for n in names]
    make(*paths)
    return [image.path(p) for p in paths]


# ---- Linux --------------------------------------------------------------------------------------

def debian(thing, arch):
    """A Debian kernel with the busybox initramfs of its architecture."""
    def guest():
        kernel, = fetched(thing, "vmlinuz")
        return image.Guest("linux", kernel, "mem=512M", "console=ttyS0", image.debian(arch)[1],
                           ends=image.POWEROFF)
    return guest


def installer(arch):
    def guest():
        kernel, initrd = fetched(f"installer-{arch}", "vmlinuz", "initrd")
        return image.Guest("installer", kernel, "mem=1408M", "console=ttyS0", initrd)
    return guest


def memtest(bits):
    def guest():
        kernel, = fetched("memtest", f"memtest{bits}.bin")
        return image.Guest("memtest", kernel, "mem=64M", "console=ttyS0,115200",
                           ends="Escape resets the guest, which ends it")
    return guest


# ---- GRUB ---------------------------------------------------------------------------------------

GRUB_MODULES = ("serial terminal terminfo normal echo help minicmd ls test halt reboot lsmmap "
                "lsacpi cpuid memrw multiboot multiboot2 linux boot").split()
GRUB_CONFIG = "serial --unit=0 --speed=115200\nterminal_input serial\nterminal_output serial\n"
LBIO_GPA = 0x500


def coreboot_sum(data):
    """The checksum of coreboot's tables: the Internet's, over 16-bit words."""
    total = sum(struct.unpack(f"<{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def coreboot_table(memory):
    """A coreboot table that says nothing but where memory is: [(start, length)]."""
    ranges = b"".join(struct.pack("<QQI", start, length, 1) for start, length in memory)
    record = struct.pack("<II", 1, 8 + len(ranges)) + ranges
    header = [b"LBIO", 24, 0, len(record), coreboot_sum(record), 1]
    header[2] = coreboot_sum(struct.pack("<4sIIIII", *header))
    return struct.pack("<4sIIIII", *header) + record


def add_segment(elf, gpa, data):
    """The ELF32 file with one more PT_LOAD segment."""
    elf = bytearray(elf) + bytes(-len(elf) % 16)
    table, = struct.unpack_from("<I", elf, 28)
    size, count = struct.unpack_from("<HH", elf, 42)
    headers = elf[table:table + size * count] + struct.pack(
        "<8I", 1, len(elf), gpa, gpa, len(data), len(data), 4, 4)
    elf += data + bytes(-len(data) % 16)
    struct.pack_into("<I", elf, 28, len(elf))
    struct.pack_into("<H", elf, 44, count + 1)
    return bytes(elf + headers)


def grub():
    """GRUB as built for machines with no BIOS. It is a Multiboot kernel, but asks coreboot's table
    for the memory: that comes with it, as a segment of its own."""
    memory = image.size_of(os.environ.get("MEM") or "64M")
    modules, = fetched("grub", "i386-coreboot")
    out = image.path("build/guest/grub")
    os.makedirs(os.path.dirname(out), exist_ok=True)
    with open(out + ".cfg", "w", encoding="ascii") as f:
        f.write(GRUB_CONFIG)
    subprocess.run(["grub-mkimage", "-O", "i386-coreboot", "-d", modules, "-p", "/boot/grub",
                    "-c", out + ".cfg", "-o", out + ".elf", *GRUB_MODULES], check=True)
    table = coreboot_table([(0x1000, 0x9fc00 - 0x1000), (1 << 20, memory - (1 << 20))])
    with open(out + ".elf", "rb") as f:
        elf = add_segment(f.read(), LBIO_GPA, table)
    with open(out + ".elf", "wb") as f:
        f.write(elf)
    return image.Guest("grub", out + ".elf", f"mem={memory >> 10}K type=multiboot",
                       ends="`halt` in the guest ends it")


# ---- guests/promise: programs that compare what each protocol promises with what they find --------

def pattern(size, n):
    """Contents of module n."""
    return bytes((i * 7 + n) & 0xff for i in range(size))


def bzimage(code, bits, version=0x20f, reloc=True, header_end=0x268):
    """A Linux kernel of protected-mode code, with a setup header of that version and length."""
    setup = bytearray(0x400)
    name = b"promise"
    setup[0x300:0x300 + len(name)] = name
    code += bytes(-len(code) % 16)
    for offset, layout, value in (
            (0x1f1, "<B", 1), (0x1f4, "<I", len(code) // 16), (0x1fe, "<H", 0xaa55),
            (0x200, "<H", 0xeb | (header_end - 0x202) << 8), (0x202, "<I", 0x53726448),
            (0x206, "<H", version), (0x20e, "<H", 0x100), (0x211, "<B", 1),
            (0x214, "<I", 0x100000), (0x22c, "<I", 0x37ffffff), (0x230, "<I", 0x200000),
            (0x234, "<B", reloc), (0x236, "<H", 1 if bits == 64 else 0),
            (0x238, "<I", 0x7ff), (0x258, "<Q", 0x100000), (0x260, "<I", len(code) + 0x10000)):
        size = struct.calcsize(layout)
        if offset + size <= header_end:
            struct.pack_into(layout, setup, offset, value)
    return bytes(setup) + code


def binary(elf):
    """What an ELF file puts into memory, from its first byte on."""
    out = elf + ".bin"
    subprocess.run(["objcopy", "-O", "binary", elf, out], check=True)
    with open(out, "rb") as f:
        return f.read()


def promise(kind, words="", name=None, modules=2, size=5000, ram=64, cpus=1):
    """The program for that protocol as a guest with two modules."""
    what = {"flat": "elf32"}.get(kind, kind)
    kernel, = built(f"promise-{what}.elf")
    said = f"ram={ram} cpus={cpus} modules={modules} size={size}"
    each = [(pattern(size + n, n), f"module -- module {n} with words") for n in range(modules)]
    if kind.startswith("linux"):
        bits = int(kind[5:])
        kernel = bzimage((b"\xf4" * 0x200 if bits == 64 else b"") + binary(kernel), bits,
                         reloc=False)
        each = [(data, "initrd") for data, _ in each]
    if kind == "flat":
        kernel, words = binary(kernel), "type=flat " + words
    if kind == "freebsd32" or kind == "freebsd64":
        said = "-sv words=" + said.replace(" ", ",")
        kernel = freebsd_abi(kernel)
        each = [(data, f"module -- -t md_image /disk{n} more")
                for n, (data, _) in enumerate(each)]
    return image.Guest(name or kind, kernel, f"mem={ram}M vcpus={cpus} testdev {words}".strip(),
                       said, modules=each)


def freebsd_abi(kernel):
    """The ELF file with FreeBSD's OS ABI."""
    with open(kernel, "rb") as f:
        elf = bytearray(f.read())
    elf[7] = 9
    return bytes(elf)


# ---- skep itself --------------------------------------------------------------------------------

def skep():
    make("build/skep.elf")
    return image.Guest("inner", image.SKEP, "mem=64M", "console=com1 idle=poweroff")


# name -> (what it is, what makes it)
GUESTS = {
    "debian-amd64": ("Debian's amd64 kernel for virtual machines (cloud), busybox",
                     debian("amd64", "amd64")),
    "debian-standard": ("Debian's usual amd64 kernel, busybox", debian("standard", "amd64")),
    "debian-i386": ("Debian's i386 kernel (686-pae), busybox", debian("i386", "i386")),
    "debian-686": ("Debian's i386 kernel without PAE, busybox", debian("686", "i386")),
    "installer-amd64": ("Debian's installer, amd64, text mode", installer("amd64")),
    "installer-i386": ("Debian's installer, i386, text mode", installer("i386")),
    "memtest": ("memtest86+, 64-bit", memtest(64)),
    "memtest-i386": ("memtest86+, 32-bit", memtest(32)),
    "grub": ("GRUB's shell, started by Multiboot", grub),
    **{name: (f"checks what it is promised: {what}", lambda kind=kind: promise(kind))
       for name, kind, what in (
           ("multiboot", "multiboot", "Multiboot 1"), ("multiboot2", "multiboot2", "Multiboot 2"),
           ("pvh", "pvh", "PVH"), ("elf", "elf32", "ELF32"), ("elf64", "elf64", "ELF64"),
           ("flat", "flat", "a flat binary"), ("linux32", "linux32", "Linux's 32-bit entry"),
           ("linux64", "linux64", "Linux's 64-bit entry"),
           ("freebsd-i386", "freebsd32", "FreeBSD's way, i386"),
           ("freebsd", "freebsd64", "FreeBSD's way, amd64"))},
    "skep": ("skep itself, by Multiboot 2: says that no guest can run in a guest", skep),
}


def check(name):
    """For `help`, or a name that is none, prints the list and ends."""
    if name in GUESTS:
        return
    lines = [f"  {key:16} {what}" for key, (what, _) in GUESTS.items()]
    print("Guests that `make run GUEST=NAME` starts:\n" + "\n".join(lines), flush=True)
    raise SystemExit(0 if name == "help" else f"GUEST={name}: there is none of that name")


def get(name):
    """The image.Guest of that name."""
    check(name)
    return GUESTS[name][1]()


if __name__ == "__main__":
    check(os.environ.get("GUEST"))
