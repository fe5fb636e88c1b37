-- Up Migration
-- Work that one worker at a time does again and again. A row is made the first time a worker looks.
create table periodic_looks (
  name text primary key,
  -- When it is to be done next; while it is being done, when its worker is given up.
  due_at timestamptz not null default now(),
  -- Whoever is doing it now.
  holder text
);

-- The version of the loop that last drove the session: an older one must not. 0: none has yet.
alter table sessions add column protocol_version integer not null default 0;
-- What a worker sweeps when it starts.
create index sessions_unfinished on sessions (protocol_version, id) where status in ('running', 'rescheduling');

-- Down Migration
drop index sessions_unfinished;
alter table sessions drop column protocol_version;
drop table periodic_looks;
