-- Up Migration
create table organizations (
  id text primary key,
  name text not null,
  created_at timestamptz not null default now()
);

create table api_keys (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  name text not null,
  -- SHA-256 of the key: a key has 160 random bits, so a slow hash would protect nothing more.
  key_hash bytea not null unique,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  revoked_at timestamptz
);

create table agents (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  latest_version integer not null,
  created_at timestamptz not null default now(),
  archived_at timestamptz
);
create index agents_organization on agents (organization_id, created_at desc, id desc);

create table agent_versions (
  agent_id text not null references agents on delete cascade,
  organization_id text not null references organizations on delete cascade,
  version integer not null,
  -- The agent as the API shows it, without id, type, version and timestamps.
  definition jsonb not null,
  created_at timestamptz not null default now(),
  primary key (agent_id, version)
);

create table environments (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  name text not null,
  description text,
  config jsonb not null,
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  archived_at timestamptz
);
create index environments_organization on environments (organization_id, created_at desc, id desc);

create table sessions (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  -- The resolved agent at creation (BetaManagedAgentsSessionAgent): later versions do not change a session.
  agent jsonb not null,
  agent_id text not null references agents,
  agent_version integer not null,
  environment_id text not null references environments,
  title text,
  metadata jsonb not null default '{}',
  resources jsonb not null default '[]',
  vault_ids jsonb not null default '[]',
  -- Cached from the log, written in the transaction that appends.
  status text not null default 'idle' check (status in ('idle', 'running', 'rescheduling', 'terminated')),
  -- The claim: whoever is handed a turn increments it, and every append of the loop carries it.
  epoch bigint not null default 0,
  -- Sequence number of the last event; incremented under the row lock, so the log has no gaps and is in commit order.
  head_seq bigint not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  archived_at timestamptz
);
create index sessions_organization on sessions (organization_id, created_at desc, id desc);
create index sessions_agent on sessions (agent_id, created_at desc);

create table session_events (
  session_id text not null references sessions on delete cascade,
  seq bigint not null,
  organization_id text not null,
  id text not null,
  type text not null,
  -- What the API shows, without id, type and processed_at. Null for records, which the API never shows.
  data jsonb,
  -- What only the loop needs: the model's own message, the intent's arguments, timings.
  record jsonb,
  epoch bigint not null,
  created_at timestamptz not null default now(),
  primary key (session_id, seq),
  unique (session_id, id)
);
create index session_events_type on session_events (session_id, type, seq);

create table sandboxes (
  session_id text primary key references sessions on delete cascade,
  organization_id text not null,
  -- sbx_…; a new one for each generation.
  sandbox_id text,
  generation integer not null default 0,
  provider text not null,
  -- As last written by whoever used it; after a crash it may lag behind the sandbox.
  state text not null default 'none' check (state in ('none', 'awake', 'suspended', 'gone')),
  -- Last snapshot of the workspace; restored into the next generation.
  snapshot_id text,
  snapshot_at timestamptz,
  awake_milliseconds double precision not null default 0,
  commands integer not null default 0,
  replacements integer not null default 0,
  -- The last 1,000 resumes, in milliseconds.
  resume_milliseconds double precision[] not null default '{}',
  updated_at timestamptz not null default now()
);

create table snapshots (
  id text primary key,
  organization_id text not null,
  session_id text not null references sessions on delete cascade,
  -- SHA-256 of the uncompressed archive; key of the blob within the organization.
  sha256 text not null,
  size_bytes bigint not null,
  created_at timestamptz not null default now()
);
create index snapshots_session on snapshots (session_id, created_at desc);

-- Written in the transaction of the intent, before the effect.
create table audit_log (
  id bigint generated always as identity primary key,
  organization_id text not null,
  session_id text,
  at timestamptz not null default now(),
  principal jsonb not null,
  action text not null,
  resource text not null,
  decision text not null check (decision in ('allow', 'ask', 'deny')),
  reasons jsonb not null,
  digest text not null
);
create index audit_log_session on audit_log (session_id, id);

-- Down Migration
drop table audit_log, snapshots, sandboxes, session_events, sessions, environments, agent_versions, agents, api_keys, organizations;
