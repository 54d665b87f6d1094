"""When a message that could not be sent is tried again, and when it is given up. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=5)
#: A provider that asks for patience gets it, up to this.
LONGEST_ASKED = timedelta(minutes=15)
MOST_ATTEMPTS = 20
#: A customer who waited this long is better told by somebody: the agent sees that the message failed.
GIVE_UP_AFTER = timedelta(hours=6)


def next_attempt(attempts: int, written_at: datetime, now: datetime, retry_after: float | None) -> datetime | None:
    """When to try again after `attempts` failures; None where the message is given up."""
    if attempts >= MOST_ATTEMPTS or now - written_at >= GIVE_UP_AFTER:
        return None
    pause = min(FIRST_PAUSE * (1 << min(attempts - 1, 20)), LONGEST_PAUSE)
    asked = timedelta(seconds=min(max(retry_after or 0.0, 0.0), LONGEST_ASKED.total_seconds()))
    return now + max(pause, asked)
