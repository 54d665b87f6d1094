-- The pool's log: the truth a pool is rebuilt from.
create table pool_log (
    part int not null,
    pool text not null,
    pool_seq bigint not null,
    conversation_id text not null,
    event bytea not null,
    primary key (pool, pool_seq)
);
create index pool_log_conversation on pool_log (conversation_id, pool_seq) where conversation_id <> '';

-- The newest snapshot of each pool; part says who loads it.
create table pool_snapshot (
    pool text primary key,
    part int not null,
    pool_seq bigint not null,
    state bytea not null
);
create index pool_snapshot_part on pool_snapshot (part);

-- Event ids of inbound events that were handled, so that the same delivery counts once.
create table inbox (
    event_id uuid primary key,
    seen_at timestamptz not null
);
create index inbox_seen_at on inbox (seen_at);

-- Answers by request id, for retries.
create table command_result (
    tenant text not null,
    request_id uuid not null,
    fingerprint bytea not null,
    response bytea not null,
    done_at timestamptz not null,
    primary key (tenant, request_id)
);
create index command_result_done_at on command_result (done_at);

-- Every version of every tenant's configuration.
create table config (
    tenant text not null,
    version bigint not null,
    config bytea not null,
    primary key (tenant, version)
);
