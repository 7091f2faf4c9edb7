# SPDX-License-Identifier: BSD-2-Clause
"""Emulated machines: QEMU and Bochs, started the same way for tests, `make run` and measurements.

A host boots an ISO image (or, in QEMU, an ELF file by its PVH note), gives its first serial line as
a pseudo-terminal, and ends by itself, by kill(), or when its hard time limit is over. Nothing a
host does outlives the program that started it.

    with Qemu(workdir, iso="build/skep.iso") as host:
        host.expect(r"guest: ready")
        host.send_line("echo $((6 * 7))")
        host.expect(r"\\b42\\b")
        host.wait_end(20)

expect() needs python3-pexpect; all else is the standard library.
"""
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import tty

OVMF_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
OVMF_VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"
# Bochs' models with SVM, by their names.
SVM_MODELS = ("zambezi", "ryzen", "trinity_apu", "phenom_8650_toliman", "turion64_tyler")
BOCHS_ROM = "/usr/share/bochs/BIOS-bochs-latest"
BOCHS_VGA = "/usr/share/bochs/VGABIOS-lgpl-latest"


class HostError(AssertionError):
    """A host did not do what was asked; the message ends with the tail of its console."""


def kvm_nested(root="/"):
    """Whether QEMU can use KVM and give its guest VMX or SVM."""
    with open(os.path.join(root, "proc/cpuinfo"), encoding="ascii", errors="replace") as f:
        flags = f.read()
    if (not re.search(r"^flags\s*:.*\b(vmx|svm)\b", flags, re.M) or
            not os.access(os.path.join(root, "dev/kvm"), os.R_OK | os.W_OK)):
        return False
    for module in ("kvm_intel", "kvm_amd"):
        try:
            with open(os.path.join(root, "sys/module", module, "parameters/nested"),
                      encoding="ascii") as f:
                if f.read().strip() in ("Y", "1"):
                    return True
        except OSError:
            pass
    return False


def leave_filter(data, prefix):
    """Takes Ctrl-A sequences out of typed bytes. prefix: whether the last byte before was a Ctrl-A.
    Gives (bytes to send, prefix, whether the person leaves)."""
    typed = bytearray()
    for byte in data:
        if prefix:
            prefix = False
            if byte in b"xX":
                return bytes(typed), False, True
            if byte != 1:
                typed.append(1)
            typed.append(byte)
        elif byte == 1:
            prefix = True
        else:
            typed.append(byte)
    return bytes(typed), prefix, False


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


class Host:
    """One emulated machine. Subclasses say how to start it."""

    kind = "host"

    def __init__(self, workdir, iso=None, mem=512, cpus=1, limit=180):
        """workdir: files of this run; mem in MiB; limit: seconds after which the host is killed."""
        self.workdir = str(workdir)
        self.iso = str(iso) if iso else None
        self.mem, self.cpus, self.limit = mem, cpus, limit
        self.proc = None
        self.status = None
        self.timed_out = False
        self.master = self.slave = None
        self._child = None
        self._seen = []
        os.makedirs(self.workdir, exist_ok=True)

    # -- life ---------------------------------------------------------------------------------

    def command(self, tty_path):
        """The program's argument list; the first serial port is to be at tty_path."""
        raise NotImplementedError

    def path(self, name):
        return os.path.join(self.workdir, name)

    def start(self):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        args = self.command(os.ttyname(self.slave))
        self.output = self.path("output.txt")
        # timeout(1) ends the host even if this program is killed before it can.
        args = ["timeout", "-k", "5", str(self.limit)] + args
        with open(self.path("command.txt"), "w", encoding="utf-8") as f:
            f.write(" ".join(args) + "\n")
        with open(self.output, "wb") as out:
            self.proc = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=out,
                                         stderr=subprocess.STDOUT, start_new_session=True)
        self.started = time.monotonic()
        threading.Thread(target=self._reap, daemon=True).start()
        return self

    def _reap(self):
        self.status = self.proc.wait()
        self.timed_out = self.status in (124, 137)
        # The master reads what is buffered, then end of file.
        os.close(self.slave)

    def kill(self):
        if self.proc and self.proc.poll() is None:
            try:
                os.killpg(self.proc.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.proc.wait()

    def close(self):
        self.kill()
        if self.master is not None:
            try:
                self.drain()
            except Exception:  # the console is for the record only by now
                pass
            self._save()
            os.close(self.master)
            self.master = None

    def __enter__(self):
        return self.start() if self.proc is None else self

    def __exit__(self, *exc):
        self.close()

    # -- console ------------------------------------------------------------------------------

    @property
    def child(self):
        if self._child is None:
            from pexpect import fdpexpect
            self._child = fdpexpect.fdspawn(self.master, encoding="utf-8", codec_errors="replace",
                                            timeout=self.limit)
            self._child.logfile_read = self
            self._child.delaybeforesend = None
        return self._child

    def write(self, text):
        self._seen.append(text)

    def flush(self):
        pass

    @property
    def console(self):
        """All that the serial line has said and that was read so far."""
        return "".join(self._seen)

    def _save(self):
        with open(self.path("console.txt"), "w", encoding="utf-8") as f:
            f.write(self.console)

    def expect(self, patterns, timeout=None):
        """Waits for a regular expression (or one of a list) on the console; gives the match object.
        Raises HostError with the console's tail when the time is over or the host has ended."""
        import pexpect
        timeout = self.limit if timeout is None else timeout
        wanted = patterns if isinstance(patterns, list) else [patterns]
        try:
            index = self.child.expect(wanted, timeout=timeout)
        except (pexpect.TIMEOUT, pexpect.EOF) as e:
            what = "no" if isinstance(e, pexpect.TIMEOUT) else f"ended (status {self.status}) without"
            raise HostError(f"{what} {wanted} within {timeout} s{self.tail()}") from None
        self.index = index
        return self.child.match

    def tail(self, lines=40):
        text = self.console.replace("\r", "")
        return (f"\n--- console ({self.workdir}) ---\n" + "\n".join(text.split("\n")[-lines:]) +
                "\n--- end ---")

    def send(self, text):
        """Types text, a few characters at a time as a person would: a 16-byte FIFO loses more."""
        for i in range(0, len(text), 8):
            os.write(self.master, text[i:i + 8].encode())
            time.sleep(0.02)

    def send_line(self, text):
        self.send(text + "\r")

    def relay(self):
        """Joins this program's terminal to the serial line until the host has ended or the person
        leaves with Ctrl-A x (Ctrl-A Ctrl-A sends one Ctrl-A). Gives whether the host ended by
        itself. The terminal is put back as it was."""
        inp, out = sys.stdin.fileno(), sys.stdout.fileno()
        saved = termios.tcgetattr(inp) if os.isatty(inp) else None
        sources, prefix = [self.master, inp], False
        try:
            if saved:
                tty.setraw(inp)
            while True:
                ready, _, _ = select.select(sources, [], [])
                if self.master in ready:
                    try:
                        data = os.read(self.master, 4096)
                    except OSError:
                        data = b""
                    if not data:
                        return True
                    self._seen.append(data.decode("utf-8", "replace"))
                    write_all(out, data)
                if inp in ready:
                    data = os.read(inp, 256)
                    if not data:
                        sources.remove(inp)
                    typed, prefix, leave = leave_filter(data, prefix)
                    for i in range(0, len(typed), 8):
                        os.write(self.master, typed[i:i + 8])
                        time.sleep(0.002)
                    if leave:
                        return False
        finally:
            if saved:
                termios.tcsetattr(inp, termios.TCSADRAIN, saved)

    def drain(self, seconds=0.2):
        """Reads what is there to read."""
        import pexpect
        try:
            self.child.expect(pexpect.EOF, timeout=seconds)
        except pexpect.TIMEOUT:
            pass

    def wait_end(self, timeout=30):
        """Waits until the host has ended by itself and gives its exit status."""
        import pexpect
        try:
            self.child.expect(pexpect.EOF, timeout=timeout)
        except pexpect.TIMEOUT:
            raise HostError(f"still running after {timeout} s{self.tail()}") from None
        for _ in range(100):
            if self.status is not None:
                break
            time.sleep(0.05)
        if self.timed_out:
            raise HostError(f"killed after its limit of {self.limit} s{self.tail()}")
        return self.status


class Qemu(Host):
    """QEMU. firmware: bios, uefi, or pvh (kernel= is an ELF file, append= its command line,
    initrd= one module). icount: the TSC counts instructions. serial: the device that is the serial
    line, if it is not COM1."""

    kind = "qemu"

    def __init__(self, workdir, iso=None, firmware="bios", cpu=None, kvm=False, icount=False,
                 kernel=None, append="", initrd=None, machine="q35", serial=None, extra=(), **kw):
        super().__init__(workdir, iso, **kw)
        self.firmware, self.kvm, self.icount = firmware, kvm, icount
        self.cpu = cpu or ("host" if kvm else "max")
        self.kernel, self.append, self.initrd = kernel, append, initrd
        self.machine, self.serial, self.extra = machine, serial, list(extra)

    def command(self, tty_path):
        args = ["qemu-system-x86_64", "-machine", self.machine, "-display", "none", "-nodefaults",
                "-no-reboot", "-m", str(self.mem), "-smp", str(self.cpus),
                "-chardev", f"serial,id=line,path={tty_path}",
                *(["-device", f"{self.serial},chardev=line"] if self.serial else
                  ["-serial", "chardev:line"]),
                "-monitor", f"unix:{self.path('monitor')},server=on,wait=off",
                "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        args += ["-accel", "kvm" if self.kvm else "tcg", "-cpu", self.cpu]
        if self.icount:
            args += ["-icount", "shift=0,sleep=off"]
        if self.firmware == "uefi":
            shutil.copyfile(OVMF_VARS, self.path("vars.fd"))
            args += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF_CODE}",
                     "-drive", f"if=pflash,format=raw,file={self.path('vars.fd')}"]
        if self.kernel:
            args += ["-kernel", str(self.kernel), "-append", self.append]
        if self.initrd:
            args += ["-initrd", str(self.initrd)]
        if self.iso:
            args += ["-cdrom", self.iso]
        return args + self.extra


    def monitor(self, line):
        """Has QEMU's monitor execute a line; gives what it says."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(self.path("monitor"))
            text = b""
            for send in (line + "\n", None):
                while not text.endswith(b"(qemu) "):
                    text += s.recv(4096)
                if send:
                    text = b""
                    s.sendall(send.encode())
        return text.decode(errors="replace")


class Bochs(Host):
    """Bochs with a processor model by name. debugger: the lines that its debugger executes (`c` runs
    until the machine's end; the machine's output comes to output.txt). options: bochsrc lines."""

    kind = "bochs"

    def __init__(self, workdir, iso=None, model="corei7_skylake_x", debugger=("c", "ptime", "q"),
                 options=(), **kw):
        super().__init__(workdir, iso, **kw)
        self.model, self.debugger, self.options = model, list(debugger), list(options)

    def command(self, tty_path):
        lines = [
            "plugin_ctrl: unmapped=true, biosdev=true, speaker=false, extfpuirq=true, "
            "parallel=false, serial=true, iodebug=true",
            "config_interface: textconfig",
            'display_library: rfb, options="timeout=0"',
            f"memory: guest={self.mem}, host={self.mem}",
            f'romimage: file="{BOCHS_ROM}"',
            f'vgaromimage: file="{BOCHS_VGA}"',
            f"cpu: model={self.model}, count={self.cpus}, ips=100000000, "
            "reset_on_triple_fault=0",
            "clock: sync=none",
            f'ata0-master: type=cdrom, path="{os.path.abspath(self.iso)}", status=inserted',
            "boot: cdrom",
            f"com1: enabled=1, mode=term, dev={tty_path}",
            "port_e9_hack: enabled=1",
            f"log: {self.path('bochs.log')}",
            "panic: action=fatal",
            "sound: driver=dummy",
        ] + self.options
        if self.model in SVM_MODELS:  # Bochs calls each I/O exit of an SVM guest an error
            lines.append("error: action=report, " +
                         ", ".join(f"cpu{n}=ignore" for n in range(self.cpus)))
        with open(self.path("bochsrc"), "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        with open(self.path("rc"), "w", encoding="utf-8") as f:
            f.write("\n".join(self.debugger) + "\n")
        return ["bochs", "-q", "-f", self.path("bochsrc"), "-rc", self.path("rc")]

    def log(self):
        """Bochs' own log, which explains a failed VM entry."""
        with open(self.path("bochs.log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def ticks(self):
        """The counts that the debugger's `ptime` lines gave, in order."""
        with open(self.path("output.txt"), encoding="utf-8", errors="replace") as f:
            return [int(n) for n in re.findall(r"^(?:.*> )?ptime: (\d+)", f.read(), re.M)]


def make_iso(path, entries, files, timeout=0, default=0):
    """A hybrid BIOS and UEFI image. entries: (title, [line...]) of grub.cfg; files: name -> source
    path or bytes, in /boot."""
    tree = str(path) + ".tree"
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(os.path.join(tree, "boot/grub"))
    for name, source in files.items():
        target = os.path.join(tree, "boot", name)
        if isinstance(source, bytes):
            with open(target, "wb") as f:
                f.write(source)
        else:
            try:
                os.link(source, target)
            except OSError:
                shutil.copyfile(source, target)
    with open(os.path.join(tree, "boot/grub/grub.cfg"), "w", encoding="utf-8") as f:
        f.write(grub_cfg(entries, timeout, default))
    try:
        subprocess.run(["grub-mkrescue", "-o", str(path), "--fonts=", "--locales=", "--themes=",
                        "--compress=no", tree], check=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    except subprocess.CalledProcessError as e:
        raise SystemExit(f"grub-mkrescue failed:\n{e.stdout.decode(errors='replace')}") from None
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    return str(path)


def grub_cfg(entries, timeout=0, default=0):
    """The text of grub.cfg: the menu on screen and on the first serial line."""
    out = ["serial --unit=0 --speed=115200", "terminal_input serial console",
           "terminal_output serial console", f"set timeout={timeout}", f"set default={default}"]
    for title, lines in entries:
        out.append(f"menuentry '{title}' {{")
        out += ["    " + line for line in lines]
        out.append("}")
    return "\n".join(out) + "\n"
