# SPDX-License-Identifier: BSD-2-Clause
"""What an exit may cost, in instructions: the bench guest on machines that count them."""
import pytest

import bench
import bench_linux
from machines import on

# host -> operation -> most instructions, the mean of 1,000
BUDGETS = {
    "bochs-skylake_x": {"cpuid": 150, "in_uart_lsr": 250, "lapic_id": 350, "lapic_tpr": 350,
                        "lapic_eoi": 350, "self_ipi": 900},
    "bochs-ivy_bridge": {"cpuid": 150, "in_uart_lsr": 250, "lapic_id": 350, "lapic_tpr": 350,
                         "lapic_eoi": 350, "self_ipi": 900},
    "qemu": {"cpuid": 350, "in_uart_lsr": 250, "lapic_id": 400, "lapic_tpr": 400, "lapic_eoi": 400,
             "self_ipi": 900},
}


@pytest.mark.parametrize("host", on(*BUDGETS, group="cost"))
def test_exits_are_cheap(host, workdir):
    taken = bench.measure(host, False, workdir)
    over = {op: taken.get(op) for op, most in BUDGETS[host].items()
            if op not in taken or taken[op][0] > most}
    assert not over, f"budgets {BUDGETS[host]}"


@pytest.mark.parametrize("host", on("corei7_skylake_x", group="cost"))
def test_start_is_quick(host):
    """From GRUB's jump to the guest's first instruction, image copies aside: below 20 million."""
    assert bench_linux.measure(host, "start") < 20_000_000


@pytest.mark.parametrize("host", on("corei7_ivy_bridge_3770k", group="cost"))
def test_linux_costs_little(host):
    """From the kernel's first instruction to init: at most 15% more than on the bare machine."""
    bare, skep = (bench_linux.measure(host, what) for what in ("bare", "skep"))
    assert skep <= bare * 1.15, f"{skep} after {bare}"
