# SPDX-License-Identifier: BSD-2-Clause
"""The parts of tools/skepctl: words, lines, answers, tables; and each kind of line with a peer."""
import json
import os
import pty
import socket
import threading

import pytest

from skepctl_module import skepctl


def fails(status, function, *args):
    with pytest.raises(skepctl.Failure) as e:
        function(*args)
    assert e.value.status == status
    return str(e.value)


@pytest.fixture
def ends():
    """A Line, and the socket at its other end."""
    a, b = socket.socketpair()
    with b:
        yield skepctl.Line(a.detach()), b


# ---- words ---------------------------------------------------------------------------------------


def test_words():
    o = skepctl.arguments(["-d", "x", "-t", "2.5", "-e", "^a", "stop", "web", "-f", "--json"])
    assert o.words == ["stop", "web", "-f"] and o.json and o.timeout == 2.5 and o.escape == b"\x01"
    o = skepctl.arguments(
        ["-d", "x", "create", "a", "from", "0", "--", "--json", "-d", "y"])
    assert o.words == ["create", "a", "from", "0", "--", "--json", "-d", "y"] and not o.json


@pytest.mark.parametrize("words", [
    [], ["-d", "x"], ["list"], ["-d", "x", "-t", "0", "list"], ["-d", "x", "-t", "soon", "list"],
    ["-d", "x", "-e", "^1", "list"], ["-d", "x", "-e", "a", "list"], ["-d", "x", "--colour", "list"],
    ["-d", "x", "-b", "fast", "list"], ["-d", "x", "list\n"], ["-d", "x", "--complete", "all"],
])
def test_wrong_words(words, monkeypatch):
    monkeypatch.delenv("SKEPCTL_DEVICE", raising=False)
    fails(skepctl.USAGE, skepctl.arguments, words)


def test_device_from_the_environment(monkeypatch):
    monkeypatch.setenv("SKEPCTL_DEVICE", "localhost:4000")
    assert skepctl.arguments(["list"]).device == "localhost:4000"


# ---- lines and answers ---------------------------------------------------------------------------


def test_lines_come_in_any_pieces(ends):
    line, peer = ends
    text = b'{"log":"one"}\r\nnoise\r\n{"command":"list","ok":true}\r\n'
    for cut in range(len(text)):
        peer.sendall(text[:cut])
        if cut:
            line.read(1)
        peer.sendall(text[cut:])
        assert [line.take_line(1) for _ in range(3)] == text.split(b"\r\n")[:3]
        assert line.take_line(0.001) is None


def test_parse():
    assert skepctl.parse(b'{"ok":true}') == {"ok": True}
    assert skepctl.parse(b'{"a":"\xff"}') == {"a": "\ufffd"}
    for bad in (b"", b"skep> list", b"[1]", b'{"cut', b'{"a":1}x', b"{" * 5000):
        assert skepctl.parse(bad) is None


def test_answer_among_other_things(ends):
    line, peer = ends
    said = []
    skep = skepctl.Skep(line, timeout=0.3, log=said.append)
    peer.sendall(b'cut off\r\n{"log":"vm a: reset"}\r\n{"command":"other","ok":true}\r\n'
                 b'{"command":"list","vms":[],"ok":true}\r\n')
    assert skep.answer("list")["vms"] == [] and said == ["vm a: reset"]
    assert "within 0.3 s" in fails(skepctl.NO_ANSWER, skep.answer, "list")
    peer.close()
    fails(skepctl.NO_LINE, skep.answer, "list")


def test_tables():
    shown = skepctl.render({"command": "list", "vms": [
        {"number": 1, "name": "web", "paused": False}, {"number": 12, "name": "a", "paused": True}],
        "empty": [], "total": 3, "ok": True})
    assert shown == ("total  3\n"
                     "\n"
                     "NUMBER  NAME  PAUSED\n"
                     "     1  web   -\n"
                     "    12  a     yes\n")
    assert skepctl.render({"command": "log", "text": "a\r\nb", "ok": True}) == "a\nb\n"
    assert skepctl.render({"cpus": [{"cpu": 0, "vcpus": [{"vm": "a", "vcpu": 1}]}]}) == \
        "CPU  VCPUS\n  0  a/1\n"


def test_rates():
    before = {"reasons": [{"reason": "io", "count": 100}]}
    now = {"reasons": [{"reason": "io", "count": 300}, {"reason": "hlt", "count": 5}]}
    assert skepctl.with_rates(now, before, 2)["reasons"] == \
        [{"reason": "io", "count": 300, "a_second": 100}, {"reason": "hlt", "count": 5}]


# ---- who is at the other end ---------------------------------------------------------------------


def actor(peer, script):
    """Plays skep: waits for each text and answers it."""
    def play():
        seen = b""
        for wanted, answer in script:
            while wanted not in seen:
                got = peer.recv(1000)
                if not got:
                    return
                seen += got
            seen = seen[seen.index(wanted) + len(wanted):]
            peer.sendall(answer)
    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    return thread


ON = (b"\x15json on\r", b'json on\r\n{"command":"json","ok":true}\r\n')
STATES = {
    "json": [(b"\x1d", b'{"focus":"monitor"}\r\n')],
    "console": [(b"\x1d", b"\r\nskep> "), ON],
    "prompt": [(b"\x1d", b"[console of web]\r\nhello"), (b"\x1d", b"\r\nskep> "), ON],
    "prompt, no VM": [(b"\x1d", b""), (b"\x15\r", b"\r\nskep> "), ON],
    "noise first": [(b"\x1d", b'half{"focus":"monitor"} x\r\nhe said skep> to me\r\n'
                     b'{"focus":"monitor"}\r\n')],
}


@pytest.mark.parametrize("state", STATES)
def test_enter(ends, state, monkeypatch):
    monkeypatch.setattr(skepctl, "QUIET", 0.1)
    line, peer = ends
    thread = actor(peer, STATES[state])
    skepctl.Skep(line, timeout=5).enter()
    thread.join(5)
    assert not thread.is_alive()


def test_nobody_there(ends, monkeypatch):
    monkeypatch.setattr(skepctl, "QUIET", 0.05)
    line, _ = ends
    assert "nobody answers" in fails(skepctl.NO_ANSWER, skepctl.Skep(line, timeout=0.3).enter)


def run(device, *words):
    return skepctl.main(["-q", "-t", "2", "-d", device, *words])


def play_list(connection):
    vms = {"command": "list", "vms": [{"name": "web", "state": "running"}], "ok": True}
    return actor(connection, [
        (b"\x1d", b'{"focus":"monitor"}\r\n'), (b"list\r", json.dumps(vms).encode() + b"\r\n")])


def test_tcp_and_unix(tmp_path, capsys):
    for family, where in ((socket.AF_INET, ("localhost", 0)), (socket.AF_UNIX, str(tmp_path / "s"))):
        with socket.socket(family) as server:
            server.bind(where)
            server.listen()
            device = where if family == socket.AF_UNIX else "localhost:%d" % server.getsockname()[1]
            threading.Thread(target=lambda s=server: play_list(s.accept()[0]).join(5),
                             daemon=True).start()
            assert run(device, "list") == skepctl.OK
            assert "web" in capsys.readouterr().out


def test_pty(capsys):
    master, slave = pty.openpty()
    class End:
        recv = staticmethod(lambda n: os.read(master, n))
        sendall = staticmethod(lambda data: os.write(master, data))
    play_list(End)
    assert run(os.ttyname(slave), "list") == skepctl.OK
    assert "running" in capsys.readouterr().out
    os.close(slave)
    os.close(master)


def test_lines_that_are_none(tmp_path, capsys):
    plain = tmp_path / "file"
    plain.write_text("")
    for device in (str(tmp_path / "nothing"), str(plain), str(tmp_path), "localhost:1"):
        assert run(device, "list") == skepctl.NO_LINE
        assert capsys.readouterr().err.startswith("skepctl: ")
