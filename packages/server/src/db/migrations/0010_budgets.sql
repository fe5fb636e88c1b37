-- Up Migration
-- Who created the session: an API key, until there are users. A thread has its parent's. Null: created before this was kept.
alter table sessions add column created_by text;
-- The session rests because a budget is reached: whoever raises a shared one finds here whom to wake.
alter table sessions add column held_by_budget boolean not null default false;
create index sessions_held_by_budget on sessions (organization_id) where held_by_budget;

-- Budgets that sessions share. The limits have the members of BudgetLimits; money in millionths of a US dollar.
create table budgets (
  organization_id text not null references organizations on delete cascade,
  scope text not null check (scope in ('organization', 'user')),
  -- The organization, a user, or * for each user that has no budget of its own.
  subject text not null,
  -- Of the UTC calendar; total never begins anew.
  period text not null check (period in ('day', 'month', 'total')),
  limits jsonb not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (organization_id, scope, subject, period)
);

-- What was used, by day of the UTC calendar. Written with the event that records the use, so it is the sum of the logs.
create table usage_totals (
  organization_id text not null references organizations on delete cascade,
  scope text not null check (scope in ('organization', 'user')),
  subject text not null,
  period_start date not null,
  -- Sessions that work at the same time write to different rows: a row is locked until its writer commits.
  shard smallint not null,
  input_tokens bigint not null default 0,
  output_tokens bigint not null default 0,
  cache_read_tokens bigint not null default 0,
  cache_write_tokens bigint not null default 0,
  cost_micros bigint not null default 0,
  steps bigint not null default 0,
  sandbox_ms bigint not null default 0,
  running_ms bigint not null default 0,
  primary key (organization_id, scope, subject, period_start, shard)
) with (fillfactor = 50);

-- Down Migration
drop table usage_totals, budgets;
drop index sessions_held_by_budget;
alter table sessions drop column held_by_budget, drop column created_by;
