-- Up Migration
alter table sandboxes drop constraint sandboxes_state_check;
alter table sandboxes add constraint sandboxes_state_check
  check (state in ('none', 'awake', 'suspended', 'snapshotted', 'gone'));
-- Why the row names no sandbox though the session had one. Null: it names one, has had none, or lost it.
alter table sandboxes add column released text check (released in ('idle', 'moved', 'killed'));
-- Last use, and while a command runs the last sign of whoever follows it.
alter table sandboxes add column used_at timestamptz not null default now();
-- From when on awake time is not counted yet. Null while the sandbox sleeps.
alter table sandboxes add column awake_since timestamptz;
-- identifier@generation of the command in the foreground.
alter table sandboxes add column running_command text;
-- Counted in awake_milliseconds and told by no command's result yet.
alter table sandboxes add column owed_milliseconds double precision not null default 0;
-- What the last command's result tells of awake time: whoever takes that result again tells the same, once.
alter table sandboxes add column told_command text;
alter table sandboxes add column told_milliseconds double precision not null default 0;
-- What the model is to be told; `by` is the command whose result tells it.
alter table sandboxes add column notices jsonb not null default '[]';
create index sandboxes_used on sandboxes (used_at) where sandbox_id is not null;
create index sandboxes_named on sandboxes (sandbox_id) where sandbox_id is not null;

-- Commands in the background: each keeps its sandbox awake until it ends or its time is up.
create table sandbox_leases (
  session_id text not null references sessions on delete cascade,
  command_id text not null,
  organization_id text not null,
  generation integer not null,
  command text not null,
  started_at timestamptz not null default now(),
  until timestamptz not null,
  ended_at timestamptz,
  ended text check (ended in ('command_ended', 'expired', 'sandbox_gone')),
  primary key (session_id, command_id)
);
create index sandbox_leases_open on sandbox_leases (until) where ended_at is null;

-- Whose sandboxes these are: hosts may serve several installations. Written by the first server that starts.
create table installation (
  one boolean primary key default true check (one),
  id text not null
);

-- Down Migration
drop table installation, sandbox_leases;
drop index sandboxes_named, sandboxes_used;
alter table sandboxes drop column notices,
  drop column told_milliseconds, drop column told_command, drop column owed_milliseconds, drop column running_command,
  drop column awake_since, drop column used_at, drop column released;
update sandboxes set state = 'gone' where state = 'snapshotted';
alter table sandboxes drop constraint sandboxes_state_check;
alter table sandboxes add constraint sandboxes_state_check check (state in ('none', 'awake', 'suspended', 'gone'));
