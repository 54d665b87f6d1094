-- Who a contact of a channel account is. The id is computed from the rest, so a row never changes.
create table customer (
    customer_id text primary key,
    tenant text not null,
    channel text not null,
    account text not null,
    contact text not null
);

-- The last state of each conversation; seq is the last event applied.
create table conversation (
    conversation_id text primary key,
    tenant text not null,
    customer_id text not null,
    seq bigint not null,
    channel text not null,
    subject text not null,
    contact text not null,
    display_name text not null,
    status text not null,
    team text not null,
    last_agent_id text not null,
    last_agent_at timestamptz,
    messages int not null,
    started_at timestamptz not null,
    last_event_at timestamptz not null
);
create index conversation_customer on conversation (customer_id, started_at desc, conversation_id desc);
create index conversation_served on conversation (customer_id, last_agent_at desc, conversation_id desc)
    include (last_agent_id) where last_agent_at is not null;

-- What happened, an entry per event of the log.
create table entry (
    conversation_id text not null,
    seq bigint not null,
    tenant text not null,
    customer_id text not null,
    event_id text not null,
    occurred_at timestamptz not null,
    actor_type int not null,
    actor_id text not null,
    kind text not null,
    agent_id text not null,
    from_team text not null,
    team text not null,
    detail text not null,
    text text,
    subject text,
    attachments text,
    primary key (conversation_id, seq)
);
create index entry_customer on entry (customer_id, occurred_at, conversation_id, seq);
create index entry_said on entry (conversation_id, seq) where kind in ('message_received', 'message_sent', 'note_added');
create index entry_moved on entry (conversation_id, seq)
    where kind in ('conversation_assigned', 'conversation_transferred');
