#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What Linux pays for running under skep: ticks of the emulated processor from the kernel's first
64-bit instruction to the first instruction of user space's own start-up program, bare and under
skep, on the same machine with the same kernel, initramfs and command line.

Bochs executes one instruction a tick and skips idle time; its debugger stops at the kernel's
64-bit entry (linear 0x1000200: the preferred load address of Debian's kernel, KASLR off) and at
the XCHG BX,BX of the initramfs' `mark`. The stretch from skep's own entry to the guest's first
instruction is given too.

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
        return struct.unpack_from("<Q", f.read(64), 24)[0]


def measure(model, bare):
    """(ticks from skep's entry to the guest's, ticks from there to init); the first 0 if bare."""
    kernel, initrd = image.debian()
    work = image.path("build/bench-linux", f"{model}-{'bare' if bare else 'skep'}")
    os.makedirs(work, exist_ok=True)
    skep = image.SKEP
    # Bare, as much memory as the VM has.
    guest = image.Guest("linux", kernel, "mem=256M", CMDLINE + (" mem=256M" if bare else ""), initrd)
    if bare:
        entries, files, stops = [image.bare_entry("bare", guest)], guest.files(), [ENTRY64]
    else:
        entries = [image.skep_entry("skep", [guest], "idle=poweroff")]
        files, stops = {"skep.elf": skep, **guest.files()}, [elf_entry(skep), ENTRY64]
    iso = hosts.make_iso(os.path.join(work, "boot.iso"), entries, files)
    debugger = [f"lb {stop:#x}" for stop in stops] + ["c", "ptime"] * (len(stops) + 1) + ["q"]
    with hosts.Bochs(work, iso, model=model, debugger=debugger, limit=LIMIT,
                     options=["magic_break: enabled=1"]) as host:
        host.proc.wait()
        ticks = host.ticks()
        if len(ticks) != len(stops) + 1 or host.timed_out:
            host.drain()
            raise SystemExit(f"{model}: {len(ticks)} of {len(stops) + 1} stops reached" +
                             host.tail())
    return (0 if bare else ticks[-2] - ticks[-3]), ticks[-1] - ticks[-2]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bare", action="store_true", help="the bare machine only")
    parser.add_argument("models", nargs="*", default=MODELS)
    args = parser.parse_args()
    jobs = [(m, True) for m in args.models] + ([] if args.bare else
                                               [(m, False) for m in args.models])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = dict(zip(jobs, pool.map(lambda job: measure(*job), jobs)))
    print(f"{'model':26} {'bare':>10} {'skep':>10} {'cost':>7} {'start-up of skep':>18}")
    for model in args.models:
        bare = results[model, True][1]
        line = f"{model:26} {bare / 1e6:8.1f} M"
        if (model, False) in results:
            start, ran = results[model, False]
            line += f" {ran / 1e6:8.1f} M {100 * (ran / bare - 1):+6.1f}% {start / 1e6:16.2f} M"
        print(line)


if __name__ == "__main__":
    main()
