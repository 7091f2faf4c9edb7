# SPDX-License-Identifier: BSD-2-Clause
"""What an exit may cost, in instructions: the bench guest on machines that count them."""
import pytest

import bench
from machines import on

# host -> operation -> most instructions, the mean of 1,000
BUDGETS = {
    "bochs-skylake_x": {"cpuid": 150, "in_uart_lsr": 250},
    "bochs-ivy_bridge": {"cpuid": 150, "in_uart_lsr": 250},
    "qemu": {"cpuid": 350, "in_uart_lsr": 250},
}


@pytest.mark.parametrize("host", on(*BUDGETS, group="cost"))
def test_exits_are_cheap(host, workdir):
    taken = bench.measure(host, False, workdir)
    over = {op: taken.get(op) for op, most in BUDGETS[host].items()
            if op not in taken or taken[op][0] > most}
    assert not over, f"budgets {BUDGETS[host]}"
