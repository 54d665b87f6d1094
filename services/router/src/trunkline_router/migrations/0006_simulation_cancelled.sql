-- Simulations that nobody wants any more, and lists of them, newest first.
alter table simulation add column cancelled boolean not null default false;
create index simulation_by_age on simulation (tenant, begun_at desc, id desc);
