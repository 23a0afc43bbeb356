"""Binding to an address and serving until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from vsearch.errors import InputError
from vsearch.server.server_state import Access

HEADER_SECONDS = 15.0
"""Time limit for the headers of a request; uvicorn has none."""
GRACE_SECONDS = 5
"""Time for responses to finish after a signal to stop."""
SHORTEST_TOKEN = 16


def access_for(host: str, token: str) -> Access:
    """Access rules for an address. Raises InputError where other computers could send requests without a token."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError as error:
        raise InputError(f"--host takes an address such as 127.0.0.1 or 0.0.0.0, not {host!r}.") from error
    if token and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token):
        raise InputError(f"VSEARCH_TOKEN must have at least {SHORTEST_TOKEN} letters, digits or signs, without spaces.")
    if address.is_loopback:
        return Access(token, Access().hosts | {str(address)})
    if not token:
        raise InputError(
            f"Others can reach {host}: set VSEARCH_TOKEN to a secret that clients must send, or use 127.0.0.1."
        )
    # The names of this computer in the network are unknown. DNS rebinding is harmless: a website has no token.
    return Access(token, frozenset())


def bind(host: str, port: int) -> socket.socket:
    """Listen on an address. Raises InputError where it is not available."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise InputError(
            f"{host} port {port} cannot be used: {error.strerror or error}. Try another --port."
        ) from error


def url_of(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: FastAPI, bound: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, then wait for responses to finish, at most GRACE_SECONDS."""
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # queries are private
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    handlers = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:  # uvicorn raises the signal again for the earlier handler
        uvicorn.Server(config).run(sockets=[bound])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class PatientProtocol(H11Protocol):
    """The protocol of uvicorn with a time limit for the headers of a request."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, error: Exception | None) -> None:
        self._stop()
        super().connection_lost(error)

    def _watch(self) -> None:
        import h11

        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEADER_SECONDS, self._drop)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _drop(self) -> None:
        self._timer = None
        transport: Any = self.transport
        if not transport.is_closing():
            transport.close()
