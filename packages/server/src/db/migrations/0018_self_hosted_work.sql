-- Up Migration
-- A key of a worker: it serves this environment and may do nothing else. Null: a key of the organization.
alter table api_keys add column environment_id text references environments on delete cascade;
create index api_keys_environment on api_keys (environment_id, created_at desc, id desc) where environment_id is not null;

create table work_items (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  environment_id text not null references environments on delete cascade,
  session_id text not null references sessions on delete cascade,
  state text not null default 'queued' check (state in ('queued', 'starting', 'active', 'stopping', 'stopped')),
  metadata jsonb not null default '{}',
  -- How often it was handed out: a token of an earlier time is worth no more than to learn that.
  attempt integer not null default 0,
  created_at timestamptz not null default now(),
  polled_at timestamptz,
  acknowledged_at timestamptz,
  started_at timestamptz,
  latest_heartbeat_at timestamptz,
  -- Null until it is acknowledged.
  lease_expires_at timestamptz,
  stop_requested_at timestamptz,
  stopped_at timestamptz
);
-- One worker for a session at a time.
create unique index work_items_session on work_items (session_id) where state <> 'stopped';
create index work_items_open on work_items (environment_id, created_at, id) where state <> 'stopped';
create index work_items_environment on work_items (environment_id, created_at desc, id desc);
create index work_items_stopped on work_items (stopped_at) where state = 'stopped';

-- What a worker serves a session with. SHA-256, as for keys.
create table work_tokens (
  token_hash bytea primary key,
  organization_id text not null references organizations on delete cascade,
  work_id text not null references work_items on delete cascade,
  attempt integer not null,
  expires_at timestamptz not null
);
create index work_tokens_work on work_tokens (work_id);

-- Who has asked for work lately, for the figures of the queue.
create table work_pollers (
  organization_id text not null references organizations on delete cascade,
  environment_id text not null references environments on delete cascade,
  worker_id text not null,
  polled_at timestamptz not null default now(),
  primary key (environment_id, worker_id)
);

-- Down Migration
drop table work_pollers, work_tokens, work_items;
delete from api_keys where environment_id is not null;
alter table api_keys drop column environment_id;
