-- Snapshots come compressed: trying again costs the server seconds for a large one.
alter table pool_snapshot alter column state set storage external;
