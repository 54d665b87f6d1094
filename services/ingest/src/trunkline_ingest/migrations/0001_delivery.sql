-- Messages to customers, from the outbound record until the provider took them or they were given up.
create table delivery_message (
    message_id text primary key,
    part int not null,
    -- The record's offset: the order in which messages of one account are sent.
    place bigint not null,
    -- tenant/channel/account
    account text not null,
    -- The OutboundMessage; null once finished, so that nothing of the customer stays here.
    message bytea,
    traceparent text not null,
    written_at timestamptz not null,
    attempts int not null default 0,
    next_attempt_at timestamptz not null,
    -- Null while it waits. A finished row stays for a while so that its duplicate is known.
    finished_at timestamptz,
    status text not null default 'waiting' check (status in ('waiting', 'sent', 'failed'))
);
create index delivery_message_waiting on delivery_message (part, account, place) where finished_at is null;
create index delivery_message_finished on delivery_message (part, finished_at) where finished_at is not null;
