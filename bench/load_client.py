"""Load on an MLLP server, in a process of its own: N connections, one message under way on each.

Speaks raw sockets and polls them itself, so that as little as possible of the machine goes to
the one who asks. An answer counts only where MSA-1 is AA and MSA-2 is the control id that was
sent on this connection.
"""

from __future__ import annotations

import argparse
import json
import secrets
import select
import socket
import time
from dataclasses import dataclass, field

from bench.message import Template, panels

_TIME_OUT_SECONDS = 10.0
_AFTER_CONTROL_ID = (b"\r", b"|", b"\x1c")


@dataclass(slots=True)
class _Conversation:
    socket: socket.socket
    template: Template
    number: int = 0
    want: bytes = b""
    sent_at: float = 0.0
    received: bytes = b""


@dataclass(slots=True)
class _Tally:
    latencies: list[float] = field(default_factory=list)
    wrong: int = 0
    lost: int = 0


def drive(port: int, connections: int, warm_up: float, seconds: float) -> dict[str, float]:
    """Send for ``warm_up`` + ``seconds``; count what was acknowledged in the latter part.

    Keys: ``acknowledged``, ``wrong`` (another answer), ``lost`` (connection closed or silent),
    ``per_second``, ``p50_ms``, ``p99_ms``, ``worst_ms``.
    """
    run = secrets.token_hex(3).upper()
    people = panels()
    poll = select.epoll()
    open_now: dict[int, _Conversation] = {}
    for index in range(connections):
        connected = socket.create_connection(("127.0.0.1", port), _TIME_OUT_SECONDS)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        open_now[connected.fileno()] = _Conversation(connected, people[index % len(people)])
        poll.register(connected, select.EPOLLIN)
    clock = time.perf_counter
    tally = _Tally()
    serial = 0

    def send(one: _Conversation) -> None:
        nonlocal serial
        serial += 1
        one.template = people[serial % len(people)]
        token = f"{run}{serial:010d}".encode()
        one.want = b"MSA|AA|" + token
        one.sent_at = clock()
        one.socket.sendall(one.template.frame(token))

    began = clock()
    counts_from = began + warm_up
    until = counts_from + seconds
    for one in open_now.values():
        send(one)
    while open_now and clock() < until:
        ready = poll.poll(_TIME_OUT_SECONDS)
        if not ready:
            break
        for handle, _ in ready:
            one = open_now[handle]
            try:
                data = one.socket.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                tally.lost += 1
                poll.unregister(handle)
                del open_now[handle]
                continue
            if one.received:
                data = one.received + data
            if not data.endswith(b"\x1c\r"):
                one.received = data
                continue
            one.received = b""
            now = clock()
            place = data.find(one.want)
            after = place + len(one.want)
            if place < 0 or data[after : after + 1] not in _AFTER_CONTROL_ID:
                tally.wrong += 1
            elif counts_from <= now < until:
                tally.latencies.append(now - one.sent_at)
            send(one)
    for one in open_now.values():
        # A reset, not a farewell: some of the servers do not survive a slow goodbye.
        tally.lost += clock() - one.sent_at >= _TIME_OUT_SECONDS
        one.socket.close()
    return _summary(tally, seconds)


def _summary(tally: _Tally, seconds: float) -> dict[str, float]:
    latencies = sorted(tally.latencies) or [float("nan")]
    count = len(tally.latencies)
    return {
        "acknowledged": count,
        "wrong": tally.wrong,
        "lost": tally.lost,
        "per_second": count / seconds,
        "p50_ms": latencies[count // 2] * 1000,
        "p99_ms": latencies[int(count * 0.99)] * 1000,
        "worst_ms": latencies[-1] * 1000,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.load_client")
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    print(json.dumps(drive(asked.port, asked.connections, asked.warm_up, asked.seconds)))
