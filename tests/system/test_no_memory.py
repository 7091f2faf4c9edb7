# SPDX-License-Identifier: BSD-2-Clause
"""A VM that the machine has not memory enough for, wherever in its start that is found: one line says
so, everything is given back, and the next start finds it all."""
import image
from machines import PROMPT, Monitor, guest_elf, machine, skep_iso

PAGE_KIB = 4
VGA_KIB = 128  # of a VM's memory, that are none


def test_each_allocation_of_a_start_fails_once(workdir):
    """The VM wants all memory, with nothing left for skep's own part of it; then a page less each
    time, until it starts."""
    guest = image.Guest("vm", guest_elf("hello64"), "start=manual fill=boot vcpus=2 mem=2M", "key")
    with machine("qemu", workdir, skep_iso(workdir, [guest], words="idle=monitor"), mem=16) as m:
        m.expect(PROMPT, 60)
        with Monitor(m).as_program() as ask:
            ask("start vm")  # what is kept of a VM is there from now on
            ask("destroy vm")
            free = ask("mem")["free_kib"]
            mem, refused = free + VGA_KIB, 0
            while True:
                ask(f"set vm mem={mem}K")
                ask("start vm")
                answer = ask("info vm")
                if answer["state"] == "running":
                    break
                assert answer["state"] == "not started" and "out of memory" in answer["reason"]
                assert ask("mem")["free_kib"] == free, mem
                mem, refused = mem - PAGE_KIB, refused + 1
            assert refused > 25  # its tables, board, vCPUs
        m.send_line("poweroff")
        m.wait_end(20)
