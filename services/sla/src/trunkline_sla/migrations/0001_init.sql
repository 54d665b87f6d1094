-- What the clocks need to know of each conversation; seq is the last event applied.
create table conversation (
    conversation_id text primary key,
    tenant text not null,
    seq bigint not null,
    team text not null,
    replied boolean not null,
    cycles int not null,
    opening_at timestamptz,
    opening_traceparent text
);

-- Every cycle of every clock. part: the partition of the log it comes from, whose owner holds its timer.
create table clock (
    clock_id text primary key,
    tenant text not null,
    conversation_id text not null,
    part int not null,
    metric text not null,
    cycle int not null,
    gen int not null,
    state text not null,
    breached boolean not null,
    target_s bigint not null,
    started_at timestamptz not null,
    due_at timestamptz not null,
    ended_at timestamptz,
    warnings smallint[] not null,
    warned smallint not null,
    policy_id text not null,
    config_version bigint not null,
    team text not null,
    traceparent text not null
);
create index clock_conversation on clock (conversation_id);
create index clock_armed on clock (part) where state = 'running' and not breached;

-- Breaches as announced; one that a reply in time retracts is deleted.
create table breach (
    clock_id text primary key,
    tenant text not null,
    conversation_id text not null,
    metric text not null,
    cycle int not null,
    team text not null,
    breached_at timestamptz not null,
    emitted_at timestamptz not null,
    late_ms bigint not null
);
create index breach_newest on breach (tenant, breached_at desc, clock_id desc);
create index breach_newest_of_team on breach (tenant, team, breached_at desc, clock_id desc);
