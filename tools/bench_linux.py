#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What Linux pays for running under skep: ticks of the emulated processor from the kernel's first
64-bit instruction to the first instruction of user space's own start-up program, bare and under
skep, on the same machine with the same kernel, initramfs and command line.

Bochs executes one instruction a tick and skips idle time; its debugger stops at the kernel's
64-bit entry (linear 0x1000200: the preferred load address of Debian's kernel, KASLR off) and at
the XCHG BX,BX of the initramfs' `mark`. The stretch from skep's own entry to the guest's first
instruction is given too, with a guest of a few KiB: the copies of images are no part of it.

    tools/bench_linux.py [--bare] [MODEL...]
"""
import argparse
import concurrent.futures
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hosts  # noqa: E402
import image  # noqa: E402

MODELS = ("corei7_skylake_x", "corei7_ivy_bridge_3770k", "zambezi")
CMDLINE = "console=ttyS0 quiet nokaslr mark"
ENTRY64 = 0x1000200
LIMIT = 420


def elf_entry(file):
    with open(file, "rb") as f:
        head = f.read(64)
    return struct.unpack_from("<Q" if head[4] == 2 else "<I", head, 24)[0]


def run(model, name, entry, files, stops, options=()):
    """The tick counts at which Bochs stopped: at each linear address in turn, then, with options
    that say so, at the guest's mark."""
    work = image.path("build/bench-linux", f"{model}-{name}")
    os.makedirs(work, exist_ok=True)
    iso = hosts.make_iso(os.path.join(work, "boot.iso"), [entry], files)
    count = len(stops) + bool(options)
    # One after the other: the firmware and GRUB execute at a guest's addresses too.
    debugger = [line for stop in stops for line in (f"lb {stop:#x}", "c", "ptime")]
    debugger += ["c", "ptime"] * bool(options) + ["q"]
    with hosts.Bochs(work, iso, model=model, debugger=debugger, limit=LIMIT,
                     options=options) as host:
        host.proc.wait()
        ticks = host.ticks()
        if len(ticks) != count or host.timed_out:
            host.drain()
            raise SystemExit(f"{model}: {len(ticks)} of {count} stops reached{host.tail()}")
    return ticks


def measure(model, what):
    """Ticks: from the kernel's entry to init (`bare`, `skep`), or from skep's entry to that of a
    small guest (`start`)."""
    if what == "start":
        guest = image.Guest("hello", image.path("build/guests/hello64.elf"), "mem=256M")
        ticks = run(model, what, image.skep_entry("skep", [guest], "idle=poweroff"),
                    {"skep.elf": image.SKEP, **guest.files()},
                    [elf_entry(image.SKEP), elf_entry(guest.kernel)])
        return ticks[1] - ticks[0]
    kernel, initrd = image.debian()
    # Bare, as much memory as the VM has.
    guest = image.Guest("linux", kernel, "mem=256M",
                        CMDLINE + (" mem=256M" if what == "bare" else ""), initrd)
    entry, files = image.bare_entry("bare", guest), guest.files()
    if what == "skep":
        entry = image.skep_entry("skep", [guest], "idle=poweroff")
        files["skep.elf"] = image.SKEP
    ticks = run(model, what, entry, files, [ENTRY64], ["magic_break: enabled=1"])
    return ticks[1] - ticks[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bare", action="store_true", help="the bare machine only")
    parser.add_argument("models", nargs="*", default=MODELS)
    args = parser.parse_args()
    jobs = [(m, what) for what in (["bare"] if args.bare else ["bare", "skep", "start"])
            for m in args.models]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = dict(zip(jobs, pool.map(lambda job: measure(*job), jobs)))
    print(f"{'model':26} {'bare':>10} {'skep':>10} {'cost':>7} {'start-up of skep':>18}")
    for model in args.models:
        bare, line = results[model, "bare"], f"{model:26} {results[model, 'bare'] / 1e6:8.1f} M"
        if not args.bare:
            ran, start = results[model, "skep"], results[model, "start"]
            line += f" {ran / 1e6:8.1f} M {100 * (ran / bare - 1):+6.1f}% {start / 1e6:16.2f} M"
        print(line)


if __name__ == "__main__":
    main()
