-- Up Migration
-- A thread is a session of its own, whose identifier begins with sthr_ and whose parent gave it work.
alter table sessions add column parent_session_id text references sessions on delete cascade;
-- What the session may use; null does not limit.
alter table sessions add column budget jsonb;
create index sessions_parent on sessions (parent_session_id, created_at) where parent_session_id is not null;

-- Calls that wait for a webhook or for another session. Derived from the logs: whoever brings what is waited for finds
-- the session here; the log decides whether it still waits.
create table session_waits (
  session_id text not null references sessions on delete cascade,
  tool_use_id text not null,
  organization_id text not null,
  kind text not null check (kind in ('webhook', 'session')),
  -- The webhook's name, or the identifier of the session.
  target text not null,
  created_at timestamptz not null default now(),
  primary key (session_id, tool_use_id)
);
create index session_waits_target on session_waits (organization_id, kind, target);

-- Down Migration
drop table session_waits;
alter table sessions drop column budget, drop column parent_session_id;
