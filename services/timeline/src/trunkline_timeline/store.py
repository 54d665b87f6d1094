"""The tables of schema timeline. Bulk statements: one per table and batch, whatever the number of records."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from operator import attrgetter

from trunkline_common.postgres import Connection, Pool, Row

from trunkline_timeline.history import AGENT, MOVED, SAID, Attachment, Content, Conversation, Customer, Entry, Event

CONVERSATION = (
    "conversation_id, tenant, customer_id, seq, channel, subject, contact, display_name, status, team, last_agent_id, "
    "last_agent_at, messages, started_at, last_event_at"
)
ENTRY = (
    "conversation_id, seq, tenant, customer_id, event_id, occurred_at, actor_type, actor_id, kind, agent_id, "
    "from_team, team, detail, text, subject, attachments"
)
CONVERSATIONS = f"select {CONVERSATION} from conversation where conversation_id = any($1::text[])"  # noqa: S608
ONE = f"select {CONVERSATION} from conversation where tenant = $1 and conversation_id = $2"  # noqa: S608
EARLIER = f"""
select {CONVERSATION} from conversation
where tenant = $1 and customer_id = $2 and (started_at, conversation_id) < ($3, $4)
order by started_at desc, conversation_id desc limit 20
"""  # noqa: S608
#: One row, always; both parts are index scans over the conversations of one customer.
LOOKUP = """
select (select count(*) from conversation where customer_id = $1 and tenant = $2) as conversations,
       (select last_agent_id from conversation where customer_id = $1 and tenant = $2 and last_agent_at is not null
        order by last_agent_at desc, conversation_id desc limit 1) as last_agent_id
"""
PUT_CUSTOMERS = """
insert into customer (customer_id, tenant, channel, account, contact)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) on conflict (customer_id) do nothing
"""
PUT_CONVERSATIONS = f"""
insert into conversation ({CONVERSATION})
select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::int[], $14::timestamptz[],
                     $15::timestamptz[])
on conflict (conversation_id) do update set
    seq = excluded.seq, status = excluded.status, team = excluded.team, last_agent_id = excluded.last_agent_id,
    last_agent_at = excluded.last_agent_at, messages = excluded.messages, last_event_at = excluded.last_event_at
"""  # noqa: S608
PUT_ENTRIES = f"""
insert into entry ({ENTRY})
select * from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::int[],
                     $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
                     $15::text[], $16::text[])
on conflict (conversation_id, seq) do nothing
"""  # noqa: S608
OF_CONVERSATION = f"""
select {ENTRY} from entry where tenant = $1 and conversation_id = $2 and seq > $3 order by seq limit $4
"""  # noqa: S608
OF_CUSTOMER = f"""
select {ENTRY} from entry where tenant = $1 and customer_id = $2
and ($3::timestamptz is null or (occurred_at, conversation_id, seq) > ($3, $4, $5))
order by occurred_at, conversation_id, seq limit $6
"""  # noqa: S608
#: The last messages and notes, what is unanswered, and every move; the kinds are spelled out to match the indexes.
FOR_BRIEF = f"""
with said as (
    select seq from entry where conversation_id = $2 and kind in {SAID!r} order by seq desc limit $3
), reply as (
    select coalesce(max(seq), 0) as seq from entry
    where conversation_id = $2 and kind in {SAID!r} and kind = 'message_sent' and actor_type = {AGENT}
), unanswered as (
    select seq from entry where conversation_id = $2 and kind in {SAID!r} and seq > (select seq from reply)
    order by seq limit $4
), moved as (
    select seq from entry where conversation_id = $2 and kind in {MOVED!r} order by seq limit $4
)
select {ENTRY} from entry where tenant = $1 and conversation_id = $2
and seq in (select seq from said union select seq from unanswered union select seq from moved) order by seq
"""  # noqa: S608
AT_MOST = 500


async def conversations(tx: Connection, ids: Collection[str]) -> dict[str, Conversation]:
    """Those of the named conversations that are known."""
    return {row["conversation_id"]: Conversation(**row) for row in await tx.fetch(CONVERSATIONS, list(ids))}


async def put(
    tx: Connection, people: Iterable[Customer], states: Iterable[Conversation], entries: Iterable[Entry]
) -> None:
    """Write what a batch changed. Customers in order of id: other partitions write the same rows."""
    if rows := sorted(map(_customer_row, people)):
        await tx.execute(PUT_CUSTOMERS, *_columns(rows))
    if rows := list(map(_conversation_row, states)):
        await tx.execute(PUT_CONVERSATIONS, *_columns(rows))
    if rows := [_entry_row(e) for e in entries]:
        await tx.execute(PUT_ENTRIES, *_columns(rows))


async def conversation(pool: Pool, tenant: str, conversation_id: str) -> Conversation | None:
    """A conversation of a tenant."""
    row = await pool.fetchrow(ONE, tenant, conversation_id)
    return Conversation(**row) if row else None


async def earlier(pool: Pool, than: Conversation) -> list[Conversation]:
    """The conversations the same customer began before, newest first."""
    key = (than.tenant, than.customer_id, than.started_at, than.conversation_id)
    return [Conversation(**row) for row in await pool.fetch(EARLIER, *key)] if than.customer_id else []


async def lookup(pool: Pool, tenant: str, customer_id: str) -> tuple[int, str]:
    """How many conversations a customer has had, and the agent who served them last."""
    row = await pool.fetchrow(LOOKUP, customer_id, tenant)
    return (row["conversations"], row["last_agent_id"] or "") if row else (0, "")


async def of_conversation(pool: Pool, tenant: str, conversation_id: str, after: int, most: int) -> list[Entry]:
    """What happened in a conversation after a seq, oldest first."""
    return [_entry(row) for row in await pool.fetch(OF_CONVERSATION, tenant, conversation_id, after, most)]


async def of_customer(
    pool: Pool, tenant: str, customer_id: str, after: tuple[datetime, str, int] | None, most: int
) -> list[Entry]:
    """What happened in all conversations of a customer after a cursor, oldest first."""
    rows = await pool.fetch(OF_CUSTOMER, tenant, customer_id, *(after or (None, "", 0)), most)
    return [_entry(row) for row in rows]


async def for_brief(pool: Pool, tenant: str, conversation_id: str, said: int) -> list[Entry]:
    """The entries of a conversation that a brief is read from, oldest first."""
    return [_entry(row) for row in await pool.fetch(FOR_BRIEF, tenant, conversation_id, said, AT_MOST)]


_customer_row = attrgetter("customer_id", "tenant", "channel", "account", "contact")
_conversation_row = attrgetter(*CONVERSATION.split(", "))


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _entry_row(entry: Entry) -> tuple[object, ...]:
    e, content = entry.event, entry.event.content
    words = (content.text, content.subject, _files(content)) if content else (None, None, None)
    return (
        e.conversation_id, e.seq, e.tenant, entry.customer_id, e.event_id, e.at, e.actor_type, e.actor_id, e.kind,
        e.agent_id, e.from_team, e.team, e.detail, *words,
    )  # fmt: skip


def _files(content: Content) -> str | None:
    return json.dumps([asdict(a) for a in content.attachments]) if content.attachments else None


def _entry(row: Row) -> Entry:
    return Entry(
        Event(
            row["event_id"],
            row["tenant"],
            row["conversation_id"],
            row["seq"],
            row["occurred_at"],
            row["actor_type"],
            row["actor_id"],
            row["kind"],
            row["agent_id"],
            row["from_team"],
            row["team"],
            row["detail"],
            _content(row),
        ),
        row["customer_id"],
    )


def _content(row: Row) -> Content | None:
    if row["text"] is None:
        return None
    files = json.loads(row["attachments"]) if row["attachments"] else []
    return Content(row["text"], row["subject"], tuple(Attachment(**a) for a in files))
