# SPDX-License-Identifier: BSD-2-Clause
"""Virtual processors that share physical ones: shares by weight, cpus=, nobody starves, and more
of them than there are processors."""
import re
import time

import pytest

import image
from machines import PROMPT, Monitor, guest_elf, machine, skep_iso, skep_lines


def spin(name, words, cmdline):
    return image.Guest(name, guest_elf("spin"), f"mem=16M testdev {words}", f"testdev {cmdline}")


def ended(host):
    """The VMs in the order in which they ended."""
    return re.findall(r"^vm (\S+): exited, status 0", "\n".join(skep_lines(host.console)), re.M)


@pytest.mark.xdist_group("sched-qemu")
def test_weights(workdir):
    """Guests that never rest, weights 1:3, on one processor. A heavy one ends before a light one with
    2.7 times its work, and after it with 3.3 times. QEMU counts instructions, so this is the same
    each time."""
    guests = [spin("a", "weight=10", "rounds=150"), spin("b", "weight=30", "rounds=405"),
              spin("c", "weight=10", "rounds=150"), spin("d", "weight=30", "rounds=495")]
    with machine("qemu", workdir, skep_iso(workdir, guests), icount=True) as host:
        host.wait_end(120)
        order = ended(host)
    assert sorted(order) == ["a", "b", "c", "d"], order
    assert order.index("b") < order.index("a"), order
    assert order.index("c") < order.index("d"), order


@pytest.mark.parametrize("host, words", [
    pytest.param("qemu", "deaf", marks=pytest.mark.xdist_group("sched-qemu")),
    pytest.param("bochs-ivy_bridge", "deaf", marks=pytest.mark.xdist_group("sched-vmx")),
    pytest.param("bochs-skylake_x", "deaf pause", marks=pytest.mark.xdist_group("sched-vmx")),
    pytest.param("bochs-zambezi", "deaf pause", marks=pytest.mark.xdist_group("sched-svm"))])
def test_a_spinning_guest_starves_nobody(host, words, workdir):
    """A guest that never leaves by itself, with interrupts off, has one processor with another's."""
    guests = [spin("spin", "", f"rounds=100000000 {words}"),
              image.Guest("hello", guest_elf("hello64"), "mem=16M testdev", "testdev status=7")]
    with machine(host, workdir, skep_iso(workdir, guests)) as m:
        m.expect(r"vm hello: exited, status 7", 100)


@pytest.mark.parametrize("host, vcpus", [
    pytest.param("qemu", 4, marks=pytest.mark.xdist_group("sched-qemu")),
    pytest.param("bochs-ivy_bridge", 2, marks=pytest.mark.xdist_group("sched-vmx"))])
def test_more_virtual_processors_than_physical(host, vcpus, workdir):
    """guests/check's tests of several processors, where they take turns on one."""
    guest = image.Guest("check", guest_elf("check64"), f"mem=32M vcpus={vcpus} testdev",
                        "testdev only=smp only=smp_state")
    with machine(host, workdir, skep_iso(workdir, [guest]), limit=300) as m:
        m.expect(r"(\d+) passed, (\d+) failed", 280)
        said = m.console
        m.wait_end(20)
    failed = re.findall(r"^FAIL.*", said, re.M)
    assert not failed, failed
    assert len(re.findall(r"^PASS", said, re.M)) >= 15


@pytest.mark.parametrize("host", [
    pytest.param("bochs-skylake_x", marks=pytest.mark.xdist_group("sched-vmx")),
    pytest.param("bochs-zambezi", marks=pytest.mark.long)])
def test_ticks_wait_with_their_processor(host, workdir):
    """One VM counts the ticks of each timer, a thousand a second, while three others never rest on
    the same processor: it has a quarter of the time, and every tick."""
    only = " ".join(f"only=ticks_{timer}" for timer in ("pit", "hpet", "apic"))
    guests = [image.Guest("check", guest_elf("check64"), "mem=32M testdev", f"testdev {only}"),
              *(spin(name, "", "rounds=100000000") for name in ("x", "y", "z"))]
    with machine(host, workdir, skep_iso(workdir, guests)) as m:
        m.expect(r"(\d+) passed, (\d+) failed", 200)
        failed = re.findall(r"^FAIL.*", m.console, re.M)
        passed = re.findall(r"^PASS (\w+)", m.console, re.M)
    assert not failed, failed
    assert len(passed) == 3, passed


@pytest.mark.parametrize("host", [
    pytest.param("bochs-skylake_x", marks=pytest.mark.xdist_group("sched-vmx")),
    pytest.param("bochs-zambezi", marks=pytest.mark.long)])
def test_ticks_for_one_that_waits(host, workdir):
    """The PIT's ticks, a thousand a second, go to the second of four virtual processors that never
    rest on one physical one: every tick comes, though the timer's owner is another."""
    guest = image.Guest("check", guest_elf("check64"), "mem=32M vcpus=4 testdev",
                        "testdev only=smp_ticks")
    with machine(host, workdir, skep_iso(workdir, [guest])) as m:
        m.expect(r"(\d+) passed, (\d+) failed", 200)
        assert "PASS smp_ticks" in m.console, m.console[-1000:]


TWO = [pytest.param("qemu", marks=pytest.mark.xdist_group("sched-qemu")),
       pytest.param("bochs-skylake_x", marks=pytest.mark.xdist_group("sched-vmx")),
       pytest.param("bochs-zambezi", marks=pytest.mark.long)]


@pytest.mark.parametrize("host", TWO)
def test_moved_while_it_runs(host, workdir):
    """Virtual processors that signal each other go from one physical one to another and back, and
    the guest finds nothing wrong; nor does one that sleeps until its timer."""
    guest = image.Guest("check", guest_elf("check64"), "mem=32M vcpus=2 cpus=0 start=manual testdev",
                        "testdev only=smp only=smp_state")
    with machine(host, workdir, skep_iso(workdir, [guest], words="idle=monitor"), cpus=2) as m:
        m.expect(PROMPT, 100)
        moves = 0
        with Monitor(m).as_program() as ask:
            ask("start check")
            for turn in range(1, 1000):
                if ask("info check")["state"] != "running":
                    break
                ask(f"set check cpus={turn % 2}", ok=None)
                for _ in range(100):
                    homes = [p["cpu"] for p in ask("info check").get("processors", [])]
                    if not homes or homes == [turn % 2] * 2:
                        break
                else:
                    raise AssertionError(f"they are at {homes}")
                moves += bool(homes)
            text = ask("log check")["text"]
            left = ask("cpu")["cpus"]
        assert moves > 3 and not re.search("^FAIL", text, re.M), text
        assert len(re.findall("^PASS", text, re.M)) >= 15, text
        assert not any(cpu.get("vcpus") for cpu in left)
        m.send_line("poweroff")
        m.wait_end(20)


def wait(true):
    for _ in range(300):
        if true():
            return True
        time.sleep(0.1)
    return False


def homes(ask):
    """Where each vCPU is at home, as `cpu` tells it."""
    return {(v["vm"], v["vcpu"]): cpu["cpu"] for cpu in ask("cpu")["cpus"] for v in cpu.get("vcpus", [])}


@pytest.mark.parametrize("host", TWO)
def test_vcpus_move(host, workdir):
    """A VM that never rests goes where cpus= says while it runs, and goes on there; of two on one
    processor one goes to another that is idle, as soon as it may."""
    guests = [spin(name, "cpus=0 start=manual", "rounds=100000000") for name in ("a", "b")]
    with machine(host, workdir, skep_iso(workdir, guests, words="idle=monitor"), cpus=2) as m:
        m.expect(PROMPT, 60)
        with Monitor(m).as_program() as ask:
            def home(name):
                return homes(ask)[name, 0]

            def exits():
                return ask("info a")["processors"][0]["exits"]

            ask("start a")
            ask("start b")
            assert home("a") == home("b") == 0
            for cpu in (1, 0):
                ask(f"set a cpus={cpu}")
                assert wait(lambda: home("a") == cpu), cpu
                assert home("b") == 0
                before = exits()
                assert wait(lambda: exits() > before)
                assert ask("info a")["processors"][0]["cpu"] == cpu
            ask("set b cpus=0-1")
            assert wait(lambda: home("b") == 1)
            assert home("a") == 0
            assert "names a processor that is not there" in ask("set a cpus=2", ok=False)["error"]


# Guests that never rest on two processors: weight and rounds of each, and the order in which they
# end if each has its share. Of three the second one begins alone.
SHARES = {"no-more": (((10, 30), (10, 52), (10, 31)), "[ac]{2}b"),
          "no-less": (((10, 52), (10, 30), (10, 53)), "b[ac]{2}"),
          "weights": (((10, 30), (10, 30), (10, 30), (30, 63)), "d[abc]{3}")}


@pytest.mark.parametrize("host, times, case", [
    pytest.param("qemu", 8, "no-more", marks=pytest.mark.xdist_group("sched-qemu")),
    pytest.param("bochs-skylake_x", 1, "no-more", marks=pytest.mark.xdist_group("sched-vmx")),
    *(pytest.param("bochs-skylake_x", 1, case, marks=pytest.mark.long)
      for case in ("no-less", "weights")),
    *(pytest.param("bochs-zambezi", 1, case, marks=pytest.mark.long) for case in SHARES)])
def test_shares_over_processors(host, times, case, workdir):
    """Shares are fair over both processors: the rounds are such that the order tells. How close to
    fair they come `make sched-fair` proves: the two processors of a QEMU that counts instructions
    do not get as many in the same time, and one that does not depends on the machine it runs on."""
    spinners, order = SHARES[case]
    guests = [spin(name, f"weight={weight}", f"rounds={rounds * times}")
              for name, (weight, rounds) in zip("abcd", spinners)]
    with machine(host, workdir, skep_iso(workdir, guests), cpus=2) as m:
        m.wait_end(200)
        assert re.fullmatch(order, "".join(ended(m)))


@pytest.mark.long
@pytest.mark.parametrize("host", ["bochs-skylake_x"])
def test_nothing_is_owed_for_a_pause(host, workdir):
    """A VM that counts its ticks is paused for longer than it runs: it has no more of them, and no
    fewer, than its clock says."""
    guest = image.Guest("check", guest_elf("check64"), "mem=32M start=manual testdev",
                        "testdev only=ticks_pit only=ticks_apic")
    with machine(host, workdir, skep_iso(workdir, [guest], words="idle=monitor")) as m:
        m.expect(PROMPT, 60)
        pauses = 0
        with Monitor(m).as_program() as ask:
            ask("start check")
            while ask("pause check", ok=None)["ok"]:
                pauses += 1
                for _ in range(10):
                    ask("version")
                ask("resume check")
                time.sleep(0.5)
            text = ask("log check")["text"]
    assert not re.findall(r"^FAIL.*", text, re.M), text
    assert len(re.findall(r"^PASS", text, re.M)) == 2 and pauses > 3, (text, pauses)
