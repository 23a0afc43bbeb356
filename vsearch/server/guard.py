"""The guard before all routes: access, and limits on size, time and number of requests.

It is plain ASGI outside FastAPI, so no part of a request is read before it is admitted.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from urllib.parse import urlsplit

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vsearch.server.answers import problem
from vsearch.server.limits import RETRY_SECONDS
from vsearch.server.server_state import ServerState

log = logging.getLogger(__name__)

HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    # Pages of other sites can neither read responses (there is no CORS header) nor embed thumbnails.
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]
OPEN = frozenset({"/health"})
"""Paths that need no token."""
METHODS = frozenset({"GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Refused(HTTPException):
    """A refused request. An HTTPException, because FastAPI re-raises those while it reads a request."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(status, text, {name.replace("_", "-"): value for name, value in headers.items()})


class Guard:
    """ASGI middleware around the application. HTTP only."""

    def __init__(self, app: ASGIApp, state: ServerState) -> None:
        self._app, self._state = app, state
        self._requests = self._uploads = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, answer = time.perf_counter(), _Answer(send, self._state.limits.send_seconds)
        try:
            await self._serve(scope, receive, answer)
        except _Refused as refused:
            await answer.refuse(scope, receive, refused)
        except _SlowReader:
            log.info("a client stopped reading")
            raise
        except Exception:
            log.exception("a request failed")
            await answer.refuse(scope, receive, _Refused(500, "Something went wrong: see the server's log."))
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._state.metrics.observe(route, method, answer.status, time.perf_counter() - begun)

    async def _serve(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        limits, upload = self._state.limits, scope["method"] == "POST" and scope["path"] == "/search"
        self._admit(scope["path"], headers)
        if self._requests >= limits.requests or (upload and self._uploads >= limits.uploads):
            raise _Refused(503, "The server is busy: try again soon.", Retry_After=str(RETRY_SECONDS))
        body = _Body(receive, limits.upload_bytes if upload else limits.body_bytes, self._state)
        body.check(headers.get(b"content-length"))
        self._requests += 1
        self._uploads += upload
        try:
            await self._app(scope, body, answer)
        finally:
            self._requests -= 1
            self._uploads -= upload

    def _admit(self, path: str, headers: dict[bytes, str]) -> None:
        access = self._state.access
        host = headers.get(b"host", "")
        if access.hosts:
            # A website whose name was made to point here (DNS rebinding) sends that name.
            if _name(host) not in access.hosts:
                raise _Refused(403, "The Host header names another server.")
            origin = headers.get(b"origin")
            if origin is not None and _origin(origin) != host.lower():
                raise _Refused(403, "Requests from pages of other sites are refused.")
        if access.token and path not in OPEN:
            scheme, _, given = headers.get(b"authorization", "").partition(" ")
            right = hmac.compare_digest(given.strip().encode("latin-1"), access.token.encode("ascii"))
            if scheme.lower() != "bearer" or not right:
                raise _Refused(
                    401, "The token is missing or wrong: send Authorization: Bearer TOKEN", WWW_Authenticate="Bearer"
                )


class _Body:
    """`receive` with limits on size and time."""

    def __init__(self, receive: Receive, limit: int, state: ServerState) -> None:
        self._receive, self._limit, self._limits = receive, limit, state.limits
        self._taken = 0
        self._whole = False
        self._until = time.monotonic() + state.limits.body_seconds

    def check(self, length: str | None) -> None:
        """Check the Content-Length header."""
        if length is not None and (not length.isascii() or not length.isdigit() or int(length[:20]) > self._limit):
            raise self._too_large()

    async def __call__(self) -> Message:
        if self._whole:  # only a disconnect can follow
            return await self._receive()
        patience = min(self._limits.receive_seconds, self._until - time.monotonic())
        try:
            async with asyncio.timeout(max(0.0, patience)):
                message = await self._receive()
        except TimeoutError:
            raise _Refused(408, "The request came too slowly.", Connection="close") from None
        self._taken += len(message.get("body", b""))
        if self._taken > self._limit:
            raise self._too_large()
        self._whole = not message.get("more_body", False)
        return message

    def _too_large(self) -> _Refused:
        return _Refused(413, f"The request is too large: at most {self._limit} bytes.", Connection="close")


class _SlowReader(Exception):
    """The client stopped reading the response; the connection is dropped."""


class _Answer:
    """`send` with the headers of all responses and a time limit."""

    def __init__(self, send: Send, seconds: float) -> None:
        self._send, self._seconds = send, seconds
        self.status = 500
        self._started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started, self.status = True, message["status"]
            message["headers"] = [*message.get("headers", []), *HEADERS]
        try:
            async with asyncio.timeout(self._seconds):
                await self._send(message)
        except TimeoutError:
            raise _SlowReader from None

    async def refuse(self, scope: Scope, receive: Receive, refused: _Refused) -> None:
        if not self._started:
            await problem(refused.status_code, refused.detail, dict(refused.headers or {}))(scope, receive, self)


def _name(host: str) -> str:
    """The host without the port, in lower case; [::1] keeps its brackets."""
    host = host.lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _origin(origin: str) -> str:
    """Host and port of an Origin header; empty where it has none, such as null."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
