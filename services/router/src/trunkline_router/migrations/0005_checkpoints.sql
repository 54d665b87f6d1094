-- Earlier snapshots, far apart, so that what is long past need not be folded from the first event on. Nothing else is
-- lost with them: rows may be deleted at any time.
create table pool_checkpoint (
    pool text not null,
    pool_seq bigint not null,
    state bytea not null,
    primary key (pool, pool_seq)
);
alter table pool_checkpoint alter column state set storage external;
