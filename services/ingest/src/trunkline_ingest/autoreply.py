"""Was this mail written by a machine? RFC 3834, and what machines do that do not know it (Discourse's rules)."""

from __future__ import annotations

import re
from email.message import EmailMessage

from trunkline_ingest.mime import header, kind, mailbox, source

PRECEDENCE = ("bulk", "junk", "list", "auto_reply")
#: X-Auto-Response-Suppress is not among them: Exchange puts it on what people write.
TELLING = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-loop", "list-id")
SENDERS = re.compile(r"^(mailer-daemon|postmaster|no-?reply|do-?not-?reply)(?=[@+._-])", re.IGNORECASE)
SUBJECTS = re.compile(
    r"^\s*(auto(matic)?[ -]?(reply|response)|out of (the )?office|abwesenheitsnotiz|automatische antwort"
    r"|respuesta autom[aá]tica|r[ée]ponse automatique|fuori sede|risposta automatica|automatisch antwoord"
    r"|automatische reactie|autosvar|automaattinen vastaus|resposta autom[aá]tica|odpowied[zź] automatyczna"
    r"|otomatik yan.t|автоответ|自動(返信|応答)|自动(回复|答复))",
    re.IGNORECASE,
)


def is_automatic(mail: EmailMessage, envelope_sender: str) -> bool:
    """Whether a machine wrote it: it must not be answered by a machine."""
    return (
        not envelope_sender.strip("<> ")
        or _says_so(mail)
        or _is_report(mail)
        or bool(SENDERS.match(mailbox(mail, "from")[1]))
        or bool(SUBJECTS.match(header(mail, "subject")))
    )


def _says_so(mail: EmailMessage) -> bool:
    submitted = source(mail, "auto-submitted").partition(";")[0].strip().lower()
    precedence = source(mail, "precedence").strip().lower()
    return (
        submitted not in ("", "no")
        or precedence in PRECEDENCE
        or source(mail, "return-path").replace(" ", "") == "<>"
        or any(source(mail, name) for name in TELLING)
    )


def _is_report(mail: EmailMessage) -> bool:
    return kind(mail) == "multipart/report"
