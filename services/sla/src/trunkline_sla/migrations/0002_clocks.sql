-- Every metric, on business calendars. Clocks are derived from the log: they are made anew from its beginning, and
-- what has been published already is not published again.
drop table conversation;
drop table clock;
drop table breach;
update consumer_partition set next_offset = 0;

-- What the engine needs to know of each conversation beside its clocks. seq is the last event applied, n the last entry
-- of history; tzdata the release of the zone data its deadlines are computed with. open: a clock waits for its end.
create table conversation (
    conversation_id text primary key,
    tenant text not null,
    part int not null,
    seq bigint not null,
    n int not null,
    team text not null,
    channel text not null,
    config_version bigint not null,
    tzdata text not null,
    open boolean not null,
    doc jsonb not null
);
create index conversation_open on conversation (part, tenant, config_version) where open;

-- Every cycle of every promised clock. part: the partition of the log it comes from, whose owner holds its timer;
-- next_at is when that looks again. current: the newest cycle of its metric. doc is the engine's clock, whole; the
-- other columns say of it what people ask for.
create table clock (
    clock_id text primary key,
    tenant text not null,
    conversation_id text not null,
    part int not null,
    metric text not null,
    cycle int not null,
    gen int not null,
    state text not null,
    target_s bigint not null,
    business boolean not null,
    started_at timestamptz not null,
    since timestamptz not null,
    consumed_s bigint not null,
    due_at timestamptz,
    next_at timestamptz,
    breached_at timestamptz,
    ended_at timestamptz,
    met boolean,
    reason text not null,
    policy_id text not null,
    calendar_id text not null,
    config_version bigint not null,
    team text not null,
    channel text not null,
    traceparent text not null,
    current boolean not null,
    doc jsonb not null
);
create index clock_conversation on clock (conversation_id, current);
create index clock_armed on clock (part) where next_at is not null;
create index clock_at_risk on clock (tenant, due_at, clock_id) where state = 'running' and breached_at is null;
create index clock_ended on clock (tenant, ended_at) where ended_at is not null;

-- Breaches as announced; one that is retracted is deleted.
create table breach (
    clock_id text not null,
    retraction int not null,
    tenant text not null,
    conversation_id text not null,
    metric text not null,
    cycle int not null,
    team text not null,
    channel text not null,
    policy_id text not null,
    breached_at timestamptz not null,
    emitted_at timestamptz not null,
    late_ms bigint not null,
    primary key (clock_id, retraction)
);
create index breach_newest on breach (tenant, breached_at desc, clock_id desc);
create index breach_newest_of_team on breach (tenant, team, breached_at desc, clock_id desc);

-- What each conversation's clocks were told, in order: to explain them, and to try another policy on them.
create table history (
    conversation_id text not null,
    n int not null,
    entry jsonb not null,
    primary key (conversation_id, n)
);

-- Partitions that are being read again from the beginning: nothing that was published before is published again.
create table rebuild (
    part int primary key
);
