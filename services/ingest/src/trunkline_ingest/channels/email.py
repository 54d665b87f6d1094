"""E-mail: what the SMTP listener takes in, replies through a relay.

A thread is named by its first message: the root of References, else In-Reply-To, else the mail itself. Our own
Message-IDs carry the name of their thread, for clients that answer without References.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib
from trunkline.config.v1.config_pb2 import ChannelAccount
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage

from trunkline_ingest import mime
from trunkline_ingest.accounts import mailbox_of
from trunkline_ingest.autoreply import is_automatic
from trunkline_ingest.channels.adapter import Adapter, Arrival, BadSignature, Raw, option, takes_priority
from trunkline_ingest.channels.sending import SendContext, SendFailed, SendRefused, Sent
from trunkline_ingest.labels import Labels, problems
from trunkline_ingest.model import Fact, Message, Unknown
from trunkline_ingest.text import clean_field

#: Headers of a Raw that hold the envelope.
MAIL_FROM, RCPT_TO = "mail-from", "rcpt-to"
CONTENT_LANGUAGE = "content-language"
#: How mail programs say that a mail is important, in the order in which they are believed.
IMPORTANCE = ("x-priority", "importance")
PRIORITY_OF = {"1": "high", "2": "high", "3": "", "4": "low", "5": "low", "high": "high", "normal": "", "low": "low"}
RELAY_SECONDS = 20
OURS = re.compile(r"^<[^<>@\s]+\.thread-([0-9a-f]{32})@([^<>@\s]+)>$")
PERMANENT = 500


@dataclass(frozen=True, slots=True)
class Mail:
    """A parsed mail and the sender its envelope named."""

    message: EmailMessage
    envelope_sender: str
    raw: bytes


def verify(raw: Raw, account: ChannelAccount, _secret: str) -> None:
    """The envelope is addressed to this account."""
    if mailbox_of(raw.headers.get(RCPT_TO, "")) != mailbox_of(account.options.get("address", "")):
        raise BadSignature


def parse(raw: Raw) -> Mail:
    """Never fails: mail that is broken has been sent all the same."""
    return Mail(mime.read(raw.body), raw.headers.get(MAIL_FROM, ""), raw.body)


def normalise(payload: Mail, arrival: Arrival) -> list[Fact]:
    """One message; a mail that names no sender at all is kept as a dead letter."""
    mail = payload.message
    shown, address = _sender(mail, payload.envelope_sender)
    if not address:
        return [Unknown("NO_SENDER", "no From, no Sender, no envelope sender", payload.raw)]
    own = message_id(mail, payload.raw)
    chain = references(mail, own)
    labels, dropped = _labels(mail, arrival)
    return [
        Message(
            provider_message_id=own,
            thread_key=thread_key(chain, arrival.account.options.get("address", "")),
            address=address,
            display_name=shown,
            subject=mime.header(mail, "subject"),
            text=mime.body(mail),
            attachments=mime.attachments(mail, own),
            provider_time=mime.date(mail),
            automatic=is_automatic(mail, payload.envelope_sender),
            reply_address=_reply_address(mail, address),
            references=tuple(chain),
            labels=labels,
            dropped=dropped,
        )
    ]


def _labels(mail: EmailMessage, arrival: Arrival) -> tuple[Labels, tuple[str, ...]]:
    """What the headers say, and the names of those that say nothing we know: no mail is refused for them."""
    language = mime.source(mail, CONTENT_LANGUAGE).partition(",")[0].strip()  # the first of several
    found = {CONTENT_LANGUAGE: Labels(language=language)}
    if takes_priority(arrival.account):
        found |= {name: Labels(priority=_importance(mail, name)) for name in IMPORTANCE}
    dropped = tuple(name for name, one in found.items() if any(problems(one, arrival.priorities)))
    kept = [one for name, one in found.items() if name not in dropped]
    return Labels(
        language=next((one.language for one in kept if one.language), ""),
        priority=next((one.priority for one in kept if one.priority), ""),
    ), dropped


def _importance(mail: EmailMessage, header: str) -> str:
    """The priority that "1 (Highest)" or "high" means; "?", which is none's name, where it is not known."""
    words = mime.source(mail, header).lower().split()
    return PRIORITY_OF.get(words[0], "?") if words else ""


def _sender(mail: EmailMessage, envelope_sender: str) -> tuple[str, str]:
    for name in ("from", "sender"):
        shown, address = mime.mailbox(mail, name)
        if address:
            return shown, address.lower()
    return "", envelope_sender.strip("<> ").lower()


def _reply_address(mail: EmailMessage, address: str) -> str:
    wanted = mime.mailbox(mail, "reply-to")[1].lower()
    return "" if wanted == address else wanted


def message_id(mail: EmailMessage, raw: bytes) -> str:
    """The mail's own id; where it has none, one made of its sender, date, subject and body, the same on a retry."""
    found = mime.message_ids(mail, "message-id")
    if found:
        return found[0]
    named = "\n".join(mime.source(mail, name) for name in ("from", "date", "subject"))
    text = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[-1]
    digest = hashlib.sha256(named.encode("utf-8", "surrogatepass") + b"\n" + text).hexdigest()
    return f"<{digest}@sha256.invalid>"


def references(mail: EmailMessage, own: str) -> list[str]:
    """The chain to continue, oldest first, ending with the mail itself."""
    before = mime.message_ids(mail, "references") or mime.message_ids(mail, "in-reply-to")[:1]
    return [one for one in before if one != own] + [own]


def thread_key(chain: list[str], address: str) -> str:
    """The thread's name: made from the root, or read from it where a client kept only an id of ours."""
    ours = OURS.match(chain[0])
    if ours and ours.group(2).lower() == address.rpartition("@")[2].lower():
        return ours.group(1)
    return thread_of(chain[0])


def thread_of(root: str) -> str:
    """The name of the thread that begins with this Message-ID."""
    return hashlib.sha256(root.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def compose(message: OutboundMessage, sender: str) -> EmailMessage:
    """The reply. Raises SendRefused where an address is none."""
    domain = sender.rpartition("@")[2]
    chain = [clean_field(one) for one in message.references]
    thread = thread_key(chain, sender) if chain else thread_of(message.message_id)
    mail = EmailMessage()
    try:
        mail["From"] = Address(addr_spec=sender)
        mail["To"] = Address(clean_field(message.to.display_name), addr_spec=message.to.address)
    except (ValueError, IndexError) as error:
        raise SendRefused("the address is not an e-mail address") from error
    mail["Subject"] = _subject(clean_field(message.content.subject))
    mail["Date"] = format_datetime(message.created_at.ToDatetime(UTC))
    mail["Message-ID"] = f"<{message.message_id}.thread-{thread}@{domain}>"
    if chain:
        mail["In-Reply-To"], mail["References"] = chain[-1], " ".join(chain)
    mail.set_content(message.content.text)
    return mail


def _subject(subject: str) -> str:
    return subject if subject.lower().startswith("re:") else f"Re: {subject or 'your message'}"


async def send(message: OutboundMessage, account: ChannelAccount, context: SendContext) -> Sent:
    """Hand the reply to the relay; the provider's id of it is its Message-ID."""
    if not context.smtp_relay:
        raise SendRefused("no SMTP relay is configured")
    sender = option(account, "address")
    mail = compose(message, sender)
    host, _, port = context.smtp_relay.rpartition(":")
    try:
        await aiosmtplib.send(
            mail,
            hostname=host,
            port=int(port),
            sender=sender,
            recipients=[message.to.address],
            timeout=RELAY_SECONDS,
        )
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise _judged(error.recipients[0].code) from error
    except aiosmtplib.SMTPResponseException as error:
        raise _judged(error.code) from error
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        raise SendFailed(f"no answer: {type(error).__name__}") from error
    return Sent(str(mail["Message-ID"]))


def _judged(code: int) -> SendRefused | SendFailed:
    reason = f"SMTP {code}"
    return SendRefused(reason) if code >= PERMANENT else SendFailed(reason)


ADAPTER = Adapter("email", "", verify, parse, normalise, send)
