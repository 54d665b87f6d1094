"""What a feed may be and where it may come from; the other side is a server on this machine that says what it got."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from trunkline_sla import import_calendar, import_fetch
from trunkline_sla.import_days import SourceFailed

FEED = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;VALUE=DATE:20260501\r\n"
    b"RRULE:FREQ=YEARLY\r\nSUMMARY:May\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
PUBLIC, PRIVATE = "93.184.215.14", "10.0.0.5"
CONFIG = (
    'calendars: [{id: support, tz: Europe/Berlin, weekly: {mon: [["09:00", "17:00"]]}, holidays: ["2026-12-25"]}]\n'
)

Answer = Callable[[BaseHTTPRequestHandler], None]


def whole(content: bytes, *headers: tuple[str, str]) -> Answer:
    """200 with a length."""
    return lambda handler: answer(handler, 200, content, ("Content-Length", str(len(content))), *headers)


def redirect(target: str, status: int = 302) -> Answer:
    """To another place."""
    return lambda handler: answer(handler, status, b"", ("Location", target), ("Content-Length", "0"))


def answer(
    handler: BaseHTTPRequestHandler, status: int, content: bytes, *headers: tuple[str, str], last: bool = False
) -> None:
    """Status, headers, content; a client that has heard enough may go. The last answer ends the connection."""
    handler.close_connection = last
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()
    try:
        handler.wfile.write(content)
    except OSError:
        handler.close_connection = True


class Feed(ThreadingHTTPServer):
    """Answers by path and keeps every request."""

    daemon_threads = True

    def __init__(self, answers: dict[str, Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.requests = answers, list[tuple[str, dict[str, str]]]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]


class _Handler(BaseHTTPRequestHandler):
    server: Feed
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        self.server.answers[self.path](self)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@contextmanager
def serving(answers: dict[str, Answer], tls: ssl.SSLContext | None = None) -> Iterator[Feed]:
    """A running server."""
    with Feed(answers) as feed:
        if tls is not None:
            feed.socket = tls.wrap_socket(feed.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=feed.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield feed
        finally:
            feed.shutdown()
            thread.join()


def read(source: str, **how: Any) -> bytes:
    """As the command does with --allow-loopback."""
    return import_fetch.read(source, allow_loopback=True, **how)


def lookups(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """The resolver answers in turn; the names it was asked."""
    asked: list[str] = []

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in answers[len(asked) - 1]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


# -- what is asked and what is taken


def test_a_feed_is_asked_for_plainly() -> None:
    """No compression, and the query as it was given."""
    with serving({"/team.ics?key=1": whole(FEED)}) as feed:
        assert read(f"{feed.url}/team.ics?key=1") == FEED
    ((path, headers),) = feed.requests
    assert path == "/team.ics?key=1"
    assert headers == {
        "host": feed.url.removeprefix("http://"),
        "accept": "text/calendar",
        "accept-encoding": "identity",
        "user-agent": "trunkline",
        "connection": "close",
    }


def chunked(*parts: bytes) -> Answer:
    """In chunks, without a last one unless it is given."""
    content = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return lambda handler: answer(handler, 200, content, ("Transfer-Encoding", "chunked"), last=True)


def _end(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def test_chunks_are_put_together() -> None:
    """And without any length the end is the end."""
    answers = {
        "/chunks": chunked(FEED[:50], FEED[50:], b""),
        "/end": lambda handler: answer(handler, 200, FEED, ("Connection", "close"), last=True),
    }
    with serving(answers) as feed:
        assert read(f"{feed.url}/chunks") == read(f"{feed.url}/end") == FEED


BIG = FEED.replace(b"SUMMARY", b"X-PAD:%s\r\nSUMMARY" % (b"x" * import_fetch.MAX_BYTES))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        pytest.param(whole(BIG), "larger than 1048576", id="too large"),
        pytest.param(chunked(BIG, b""), "larger than 1048576", id="too large without saying so"),
        pytest.param(chunked(FEED), "IncompleteRead", id="the last chunk is missing"),
        pytest.param(
            lambda h: answer(h, 200, FEED, ("Content-Length", str(len(FEED) + 9)), last=True),
            "ends 9 bytes early",
            id="truncated",
        ),
        pytest.param(whole(FEED, ("Content-Encoding", "gzip")), "sends gzip", id="compressed"),
        pytest.param(lambda h: answer(h, 404, b"", ("Content-Length", "0")), "the answer is 404", id="not there"),
        pytest.param(lambda h: answer(h, 204, b""), "the answer is 204", id="empty"),
        pytest.param(lambda h: _end(h), "no proper HTTP", id="hangs up"),
        pytest.param(redirect(""), "the answer is 302", id="redirect to nowhere"),
    ],
)
def test_an_answer_that_is_not_the_feed_is_a_failure(given: Answer, why: str) -> None:
    """Never an empty or a half list."""
    with serving({"/": given}) as feed, pytest.raises(SourceFailed, match=why):
        read(feed.url)


def test_a_server_that_sends_a_byte_at_a_time_is_left() -> None:
    """It would be done after 5 s; every single read is short."""
    gone = threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        answer(handler, 200, b"", ("Content-Length", "100"))
        for _ in range(100):
            try:
                handler.wfile.write(b"x")
            except OSError:
                break
            gone.wait(0.05)

    with serving({"/": trickle}) as feed, pytest.raises(SourceFailed, match=r"longer than 0\.5 s"):
        read(feed.url, seconds=0.5)
    gone.set()


def test_a_server_that_says_nothing_is_left() -> None:
    """It accepts, and that is all."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"//127.0.0.1:{silent.getsockname()[1]}/"
        for scheme in ("http", "https"):  # the second is waiting for the handshake
            with pytest.raises(SourceFailed, match=r"longer than 0\.3 s"):
                read(f"{scheme}:{url}", seconds=0.3)


def test_a_server_that_takes_no_connection_is_left() -> None:
    """Its queue is full: what is sent to it gets no answer at all."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting:
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        with pytest.raises(SourceFailed, match=r"longer than 0\.3 s"):
            read(f"http://127.0.0.1:{full.getsockname()[1]}/", seconds=0.3)


# -- where it may come from


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "0.0.0.0", "100.64.0.1", "169.254.169.254"),  # noqa: S104
        *("224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
        *("::", "::1", "fe80::1", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1"),
        *("::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::", "2001::1"),
    ],
)
def test_an_inner_address_is_not_public(address: str) -> None:
    """Private, loopback, link-local, shared, multicast, reserved; an IPv4 one within IPv6 as well."""
    assert not import_fetch.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700::1111", "64:ff9b::1.1.1.1", "::ffff:1.1.1.1"])
def test_other_addresses_are_public(address: str) -> None:
    """Also behind the translation of a network without IPv4."""
    assert import_fetch.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("https://10.0.0.5/x", "10.0.0.5, which is not a public address"),
        ("https://[::1]/x", "::1, which is not a public address"),
        ("https://127.0.0.1/x", "not a public address"),
        ("https://2130706433/x", "not a public address"),
        ("http://127.0.0.1/x", "is not https"),
        ("http://93.184.215.14/x", "is not https"),
        ("ftp://example.org/x", "is no https URL"),
        ("file:///etc/hosts", "is no https URL"),
        ("https:///x", "is no https URL"),
        ("https://ana@example.org/x", "has a user in it"),
        ("https://example.org:port/x", "invalid literal|Port"),
    ],
)
def test_only_https_to_public_addresses(source: str, why: str) -> None:
    """However the address is written."""
    with pytest.raises(SourceFailed, match=why):
        import_fetch.read(source)


@pytest.mark.parametrize("addresses", [[PRIVATE], [PUBLIC, PRIVATE], ["127.0.0.1", PUBLIC]])
def test_a_name_with_any_inner_address_is_refused(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> None:
    """Which of them a connection would get is chance."""
    lookups(monkeypatch, addresses)
    with pytest.raises(SourceFailed, match=r"feeds\.example is .*, which is not a public address"):
        import_fetch.read("https://feeds.example/x")


def test_a_name_is_on_this_machine_with_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or --allow-loopback would open the way to the rest of the network."""
    lookups(monkeypatch, ["127.0.0.1", PRIVATE])
    with pytest.raises(SourceFailed, match="not a public address"):
        read("https://feeds.example/x")


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is looked up once; its next answer would be another one."""
    with serving({"/x": whole(FEED)}) as feed:
        asked = lookups(monkeypatch, ["127.0.0.1"], [PRIVATE])
        assert read(f"http://feeds.example:{feed.server_port}/x") == FEED
    assert asked == ["feeds.example"]
    assert feed.requests[0][1]["host"] == f"feeds.example:{feed.server_port}"


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens on the first."""
    with serving({"/x": whole(FEED)}) as feed:
        lookups(monkeypatch, ["127.0.0.2", "127.0.0.1"])
        assert read(f"http://feeds.example:{feed.server_port}/x") == FEED


def test_loopback_needs_the_flag_and_allows_nothing_else() -> None:
    """http is for this machine alone."""
    with serving({"/": whole(FEED)}) as feed:
        with pytest.raises(SourceFailed, match="is not https"):
            import_fetch.read(feed.url)
        with pytest.raises(SourceFailed, match="is not https"):
            read("http://93.184.215.14/")
        with pytest.raises(SourceFailed, match="not a public address"):
            read("https://10.0.0.5/")
    assert feed.requests == []


# -- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(status: int) -> None:
    """Three, relative ones too."""
    answers = {"/1": redirect("2", status), "/2": redirect("/3", status), "/3": redirect("//x/", status)}
    with serving(answers) as feed:
        answers["/3"], answers["/4"] = redirect(f"{feed.url}/4", status), whole(FEED)
        assert read(f"{feed.url}/1") == FEED
    assert feed.paths == ["/1", "/2", "/3", "/4"]


def test_the_fourth_redirect_is_not_followed() -> None:
    """Nor does a circle go on for ever."""
    with serving({"/": redirect("/")}) as feed, pytest.raises(SourceFailed, match="redirects more than 3 times"):
        read(f"{feed.url}/")
    assert len(feed.paths) == 4


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("https://10.0.0.5/x", "10.0.0.5, which is not a public address"),
        ("https://169.254.169.254/latest", "not a public address"),
        ("http://10.0.0.5/x", "is not https"),
        ("http://93.184.215.14/x", "is not https"),
        ("file:///etc/hosts", "is no https URL"),
    ],
)
def test_every_target_of_a_redirect_is_checked(target: str, why: str) -> None:
    """As if it had been given."""
    with serving({"/": redirect(target)}) as feed, pytest.raises(SourceFailed, match=why):
        read(f"{feed.url}/")
    assert feed.paths == ["/"]


# -- TLS


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for a name, signed by itself, and its key; made here."""
    key = ec.generate_private_key(ec.SECP256R1())
    who, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), datetime.now(UTC)
    builder = x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    signed = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    files = folder / f"{name}.crt", folder / f"{name}.key"
    files[0].write_bytes(signed.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@pytest.mark.parametrize(("name", "trusted"), [("localhost", True), ("localhost", False), ("other.example", True)])
def test_a_server_must_prove_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, trusted: bool
) -> None:
    """By a certificate that is trusted, for the name in the URL and not for the address."""
    chain, key = certificate(tmp_path, name)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain if trusted else certificate(tmp_path, "else")[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    with serving({"/": whole(FEED)}, context) as feed:
        lookups(monkeypatch, ["127.0.0.1"])
        if name == "localhost" and trusted:
            assert read(f"https://localhost:{feed.server_port}/") == FEED
        else:
            with pytest.raises(SourceFailed, match="certificate verify failed"):
                read(f"https://localhost:{feed.server_port}/")


# -- files, messages, the command


def test_a_file_has_the_same_limit(tmp_path: Path) -> None:
    """A mebibyte."""
    file = tmp_path / "feed.ics"
    file.write_bytes(FEED)
    assert import_fetch.read(str(file)) == FEED
    file.write_bytes(BIG)
    with pytest.raises(SourceFailed, match="larger than"):
        import_fetch.read(str(file))
    with pytest.raises(SourceFailed, match="No such file"):
        import_fetch.read(str(tmp_path / "absent.ics"))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("https://feeds.example/secret/team.ics?key=1", "https://feeds.example/..."),
        ("https://ana:word@feeds.example/x", "https://feeds.example/..."),
        ("some/where/team.ics", "team.ics"),
    ],
)
def test_messages_do_not_name_the_path_of_a_feed(source: str, expected: str) -> None:
    """It is the password of a private one."""
    assert import_fetch.shown(source) == expected


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A tenant's document."""
    file = tmp_path / "tenant.yaml"
    file.write_text(CONFIG)
    return file


def ical(feed: Feed, config: Path, path: str = "/secret", *more: str) -> int:
    """One run of the command."""
    named = ["--calendar", "support", "--years", "2026", "--allow-loopback", *more]
    return import_calendar.main(["ical", f"{feed.url}{path}", *named, str(config)], datetime(2026, 1, 1, tzinfo=UTC))


def test_a_feed_becomes_the_list(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the second run finds nothing new."""
    with serving({"/secret": whole(FEED)}) as feed:
        assert ical(feed, config, "/secret", "--write") == 0
        assert config.read_text() == CONFIG.replace('holidays: ["2026-12-25"]', '"holidays": ["2026-05-01"]')
        after, first = config.stat().st_mtime_ns, capsys.readouterr().out
        assert ical(feed, config, "/secret", "--write") == 0
    assert "# + 2026-05-01 May\n# - 2026-12-25\n" in first
    assert "# unchanged" in capsys.readouterr().out
    assert config.stat().st_mtime_ns == after
    assert "secret" not in first


@pytest.mark.parametrize(
    "given",
    [
        redirect("https://10.0.0.5/x"),
        whole(BIG),
        whole(b"<html></html>"),
        whole(FEED[:-30]),
        whole(FEED.replace(b"20260501", b"20280501")),
        lambda h: answer(h, 500, b"", ("Content-Length", "0")),
    ],
    ids=["private", "large", "no iCal", "half", "no events", "broken"],
)
def test_a_feed_that_fails_changes_nothing(config: Path, capsys: pytest.CaptureFixture[str], given: Answer) -> None:
    """Exit 1, one reason, the last good list stays."""
    before = config.stat().st_mtime_ns
    with serving({"/secret": given}) as feed:
        assert ical(feed, config, "/secret", "--write") == 1
    said = capsys.readouterr()
    assert (config.read_text(), config.stat().st_mtime_ns, said.out) == (CONFIG, before, "")
    assert said.err.startswith(f"{feed.url}/...: ")
    assert said.err.endswith("\nnothing is changed\n")
    assert "secret" not in said.err
