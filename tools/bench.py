#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Instructions per operation: the bench guest (guests/bench) on the bare machine and under skep,
beside what other hypervisors took for the same on the same machine (tools/peers.json).

    tools/bench.py [--skep-only] [HOST...]     hosts: qemu bochs-skylake_x bochs-ivy_bridge
                                               bochs-ryzen

QEMU runs with -icount, where the TSC counts instructions; in Bochs a tick is an instruction.
"""
import argparse
import concurrent.futures
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hosts  # noqa: E402
import image  # noqa: E402

HOSTS = {
    "qemu": (hosts.Qemu, {"icount": True}),
    "bochs-skylake_x": (hosts.Bochs, {"model": "corei7_skylake_x"}),
    "bochs-ivy_bridge": (hosts.Bochs, {"model": "corei7_ivy_bridge_3770k"}),
    "bochs-ryzen": (hosts.Bochs, {"model": "ryzen"}),
}


def measure(name, bare, workdir=None, only=None, limit=240, own="idle=poweroff",
            cpus=1):
    """{operation: (mean, min, count)} as the guest printed them. own: skep's own words; cpus:
    processors, and vCPUs of the guest."""
    kind, arguments = HOSTS[name]
    work = workdir or image.path("build/bench", f"{name}-{'bare' if bare else 'skep'}")
    os.makedirs(work, exist_ok=True)
    words = "testdev" + (f" only={only}" if only else "")
    guest = image.Guest("bench", image.path("build/guests/bench.elf"), f"mem=128M testdev vcpus={cpus}", words)
    if bare:
        entry, files = image.bare_entry("bare", guest), guest.files()
    else:
        entry = image.skep_entry("skep", [guest], own)
        files = {"skep.elf": image.SKEP, **guest.files()}
    iso = hosts.make_iso(os.path.join(work, "boot.iso"), [entry], files)
    with kind(work, iso, limit=limit, cpus=cpus, **arguments) as host:
        host.expect(r"BENCH done", limit)
        lines = re.findall(r"BENCH (\w+) (\d+) (\d+) (\d+)", host.console)
    return {op: (int(mean), int(least), int(count)) for op, mean, least, count in lines}


def table(name, skep, bare, peers):
    """The lines of one host's table."""
    def cell(value):
        return f"{value:>8}" if value is not None else f"{'-':>8}"
    out = [f"{name}: instructions per operation (mean; skep's least in the last column)",
           f"  {'operation':34} {'bare':>8} {'skep':>8} {'KVM':>8} {'Xen':>8} {'least':>8}"]
    for op in list(peers) + [o for o in skep if o not in peers]:
        peer = peers.get(op, {})
        mean, least, _ = skep.get(op, (None, None, 0))
        out.append(f"  {peer.get('name', op):34} {cell(bare.get(op, (None,))[0])} {cell(mean)} "
                   f"{cell(peer.get('kvm', {}).get(name))} {cell(peer.get('xen', {}).get(name))} "
                   f"{cell(least)}")
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skep-only", action="store_true", help="not on the bare machine")
    parser.add_argument("hosts", nargs="*", metavar="HOST")
    args = parser.parse_args()
    names = args.hosts or list(HOSTS)
    for name in names:
        if name not in HOSTS:
            parser.error(f"no host '{name}': {', '.join(HOSTS)}")
    with open(image.path("tools/peers.json"), encoding="utf-8") as f:
        peers = json.load(f)["operations"]
    jobs = [(n, bare) for n in names for bare in ((False,) if args.skep_only else (False, True))]
    failed = False

    def attempt(job):
        try:
            return measure(*job)
        except hosts.HostError as e:
            return e

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = dict(zip(jobs, pool.map(attempt, jobs)))
    for name in names:
        skep, bare = results[name, False], results.get((name, True), {})
        if isinstance(bare, hosts.HostError):
            bare = {}
        if isinstance(skep, hosts.HostError):
            print(f"{name}: {skep}", file=sys.stderr)
            failed = True
        else:
            print("\n".join(table(name, skep, bare, peers)) + "\n", flush=True)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
