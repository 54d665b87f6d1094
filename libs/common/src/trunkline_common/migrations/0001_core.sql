-- Who owns a partition of a topic for a consumer group, how far it is consumed, and under which fencing epoch.
create table consumer_partition (
    grp text not null,
    topic text not null,
    part int not null,
    epoch bigint not null,
    owner text not null,
    next_offset bigint not null,
    primary key (grp, topic, part)
);

-- What a partition's owner still has to publish, in order of id. Deleted by id list after the broker's ack.
create table outbox (
    id bigint generated always as identity,
    grp text not null,
    part int not null,
    topic text not null,
    key bytea,
    value bytea,
    headers text not null,
    primary key (grp, part, id)
) with (autovacuum_vacuum_scale_factor = 0.01);
