"""Reads a feed: https from public addresses only, or a file. Never trusts what a name or a redirect leads to.

A name is looked up once per request, every address it has is checked, and the connection goes to a checked address:
a second lookup could give another answer.
"""

from __future__ import annotations

import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from trunkline_sla.import_days import SourceFailed

MAX_BYTES, MAX_REDIRECTS, SECONDS = 1024 * 1024, 3, 20.0
REDIRECTS = (301, 302, 303, 307, 308)
HEADERS = {"Accept": "text/calendar", "Connection": "close", "User-Agent": "trunkline"}
#: IPv4 inside IPv6, for networks without IPv4 (RFC 6052).
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def read(source: str, *, allow_loopback: bool = False, seconds: float = SECONDS) -> bytes:
    """The content of an https URL or a file, at most MAX_BYTES. Raises SourceFailed.

    `allow_loopback` lets http and https reach this machine, and only it besides the public.
    """
    if "://" not in source:
        return _file(Path(source))
    deadline = time.monotonic() + seconds
    try:
        return _follow(source, allow_loopback=allow_loopback, deadline=deadline)
    except TimeoutError as error:
        raise SourceFailed(f"takes longer than {seconds:g} s") from error
    except HTTPException as error:
        raise SourceFailed(f"no proper HTTP ({type(error).__name__})") from error
    except (OSError, ValueError) as error:
        raise SourceFailed(str(error) or type(error).__name__) from error


def shown(source: str) -> str:
    """How a source is named in messages: the path of a private feed is its password."""
    if "://" not in source:
        return Path(source).name
    host = source.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return f"{source.partition('://')[0]}://{host}/..."


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _capped(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise SourceFailed(str(error.strerror)) from error


def _capped(content: bytes) -> bytes:
    if len(content) > MAX_BYTES:
        raise SourceFailed(f"is larger than {MAX_BYTES} bytes")
    return content


# -- HTTP


def _follow(url: str, *, allow_loopback: bool, deadline: float) -> bytes:
    for _ in range(MAX_REDIRECTS + 1):
        with _asked(urlsplit(url), allow_loopback=allow_loopback, deadline=deadline) as answer:
            target = answer.getheader("Location")
            if answer.status not in REDIRECTS or not target:
                return _body(answer)
        url = urljoin(url, target)
    raise SourceFailed(f"redirects more than {MAX_REDIRECTS} times")


def _body(answer: HTTPResponse) -> bytes:
    if answer.status != 200:
        raise SourceFailed(f"the answer is {answer.status}")
    if (encoding := answer.getheader("Content-Encoding", "identity").lower()) != "identity":
        raise SourceFailed(f"sends {encoding}, which was not asked for")
    content = _capped(answer.read(MAX_BYTES + 1))
    if answer.length:  # http.client says nothing when the end is missing
        raise SourceFailed(f"ends {answer.length} bytes early")
    return content


@contextmanager
def _asked(url: SplitResult, *, allow_loopback: bool, deadline: float) -> Iterator[HTTPResponse]:
    """The answer to a GET, its body still to be read."""
    if url.scheme not in ("http", "https") or not url.hostname or url.username is not None:
        raise SourceFailed("is no https URL, or has a user in it")
    tls = url.scheme == "https"
    port = url.port or (443 if tls else 80)
    connection = (HTTPSConnection if tls else HTTPConnection)(url.hostname, port)
    connection.sock = _connected(url.hostname, port, tls=tls, allow_loopback=allow_loopback, deadline=deadline)
    with connection.sock as sock:
        connection.request("GET", f"{url.path or '/'}{'?' * bool(url.query)}{url.query}", headers=HEADERS)
        answer = HTTPResponse(sock, method="GET")
        answer.fp.close()
        answer.fp = io.BufferedReader(_Timed(sock, deadline))
        answer.begin()
        yield answer


def _connected(host: str, port: int, *, tls: bool, allow_loopback: bool, deadline: float) -> socket.socket:
    places = _places(host, port)
    addresses = [ipaddress.ip_address(place[4][0].partition("%")[0]) for place in places]
    here = allow_loopback and all(a.is_loopback for a in addresses)
    if not tls and not here:
        raise SourceFailed(f"{host} is not https")
    for address in addresses:
        if not here and not is_public(address):
            raise SourceFailed(f"{host} is {address}, which is not a public address")
    sock = _opened(places, deadline)
    if not tls:
        return sock
    sock.settimeout(max(0.001, deadline - time.monotonic()))
    return ssl.create_default_context().wrap_socket(sock, server_hostname=host)


def _places(host: str, port: int) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise SourceFailed(f"{host} has no address: {error.strerror}") from error


def _opened(places: list[Any], deadline: float) -> socket.socket:
    """A connection to the first of the places that takes it."""
    failure: OSError = OSError("no address")
    for family, kind, protocol, _, place in places:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_left(deadline))
            sock.connect(place)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def is_public(address: Address) -> bool:
    """Whether the address belongs to nobody's inside. An IPv4 address inside an IPv6 one is what counts."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _left(deadline: float) -> float:
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left


class _Timed(io.RawIOBase):
    """Reads of a socket under one deadline: a server that sends a byte at a time gains nothing by it."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv_into(buffer)
