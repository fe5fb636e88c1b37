-- Up Migration
create table deployments (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  name text not null,
  description text,
  agent_id text not null references agents,
  agent_version integer not null,
  -- No foreign key: an environment may be deleted, and a run then says so.
  environment_id text not null,
  initial_events jsonb not null,
  metadata jsonb not null default '{}',
  schedule_expression text,
  schedule_timezone text,
  missed_runs text not null check (missed_runs in ('skip', 'run_once', 'run_all')),
  overlap text not null check (overlap in ('skip', 'queue')),
  -- Null: active.
  paused_reason jsonb,
  -- The first instant that no worker has taken yet. Null without a schedule, when paused and when archived.
  next_run_at timestamptz,
  -- Instants that were taken and wait for an earlier run to end, oldest first.
  queued_runs_at timestamptz[] not null default '{}',
  last_run_at timestamptz,
  skipped_runs integer not null default 0,
  last_skipped_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  archived_at timestamptz,
  check ((schedule_expression is null) = (schedule_timezone is null))
);
create index deployments_organization on deployments (organization_id, created_at desc, id desc);
create index deployments_due on deployments (next_run_at) where next_run_at is not null;
create index deployments_queued on deployments (id) where queued_runs_at <> '{}';

create table deployment_runs (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  deployment_id text not null references deployments on delete cascade,
  agent_id text not null,
  agent_version integer not null,
  -- No foreign key: the record outlives its session.
  session_id text,
  error jsonb,
  -- Null: started by hand.
  scheduled_at timestamptz,
  -- When its session was first seen to have ended; written by whoever looks for due runs.
  ended_at timestamptz,
  created_at timestamptz not null default now(),
  unique (deployment_id, scheduled_at),
  check ((session_id is null) <> (error is null))
);
create index deployment_runs_organization on deployment_runs (organization_id, created_at desc, id desc);
create index deployment_runs_deployment on deployment_runs (deployment_id, created_at desc, id desc);
create index deployment_runs_going on deployment_runs (deployment_id) where ended_at is null and session_id is not null;

alter table sessions add column deployment_id text;
create index sessions_deployment on sessions (deployment_id, created_at desc) where deployment_id is not null;

-- Down Migration
alter table sessions drop column deployment_id;
drop table deployment_runs, deployments;
