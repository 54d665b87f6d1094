-- Simulations of a period under another configuration. One whose process does not say that it lives has ended with it.
create table simulation (
    tenant text not null,
    id uuid not null,
    fingerprint bytea not null,
    pool text not null,
    since timestamptz not null,
    until timestamptz not null,
    begun_at timestamptz not null,
    alive_at timestamptz not null,
    progress double precision not null default 0,
    done boolean not null default false,
    error text not null default '',
    comparison bytea,
    primary key (tenant, id)
);
create index simulation_begun_at on simulation (begun_at);
