-- The pool of each agent that was made by a command; those of the configuration document are not in here.
create table agent_pool (
    tenant text not null,
    agent_id text not null,
    pool text not null,
    primary key (tenant, agent_id)
);
create index agent_pool_pool on agent_pool (pool);
