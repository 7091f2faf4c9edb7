# SPDX-License-Identifier: BSD-2-Clause
"""Guests of every kind start, end, start again, are ended and are made anew from their modules: in
the end there is as much memory as before."""
import time

import pytest

import guests
from machines import PROMPT, Monitor, machine, on, skep_iso
from test_promise import KINDS


def wait_exit(ask, name):
    """It has ended by itself, and found all that its protocol promises."""
    for _ in range(300):
        if (state := ask(f"info {name}")["state"]) not in ("running", "ending"):
            break
        time.sleep(0.05)
    assert state == "exited", (name, state)
    assert "promise: " in ask(f"log {name}")["text"] and " 0 wrong" in ask(f"log {name}")["text"]


def wait_ended(ask, name):
    for _ in range(100):
        if ask(f"info {name}")["state"] in ("exited", "stopped"):
            return
        time.sleep(0.05)
    raise AssertionError(f"{name} has not ended")


def wait_gone(ask, name):
    for _ in range(100):
        if name not in [vm["name"] for vm in ask("list")["vms"]]:
            return
        time.sleep(0.05)
    raise AssertionError(f"{name} is still there")


def come_and_go(ask, kind):
    """By itself, by order in the middle, and as a new VM with its files and words."""
    ask(f"start {kind}")
    wait_exit(ask, kind)
    ask(f"start {kind}")
    ask(f"reset {kind}", ok=None)  # it may have ended already
    ask(f"destroy {kind}", ok=None)
    wait_ended(ask, kind)
    ask(f"create new from {kind}")
    wait_exit(ask, "new")
    ask("destroy new")
    wait_gone(ask, "new")


@pytest.mark.parametrize("host", [*on("qemu"),
                                  pytest.param("bochs-skylake_x", marks=pytest.mark.long)])
def test_every_kind(host, workdir):
    vms = [guests.promise(kind, "start=manual") for kind in KINDS]
    with machine(host, workdir, skep_iso(workdir, vms, words="idle=monitor"), mem=768) as m:
        m.expect(PROMPT, 60)
        with Monitor(m).as_program() as ask:
            come_and_go(ask, KINDS[0])  # what is kept of consoles is there from now on
            for kind in KINDS[1:]:
                ask(f"start {kind}")
                wait_exit(ask, kind)
            before = ask("mem")["free_kib"]
            for kind in KINDS:
                come_and_go(ask, kind)
                assert ask("mem")["free_kib"] == before, kind
        m.send_line("poweroff")
        m.wait_end(20)
