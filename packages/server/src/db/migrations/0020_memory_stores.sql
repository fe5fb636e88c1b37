-- Up Migration
create table memory_stores (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  -- Its files: `store/<id>`, or `memory/org` for the organization's own.
  mount text not null,
  name text not null,
  description text not null default '',
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  archived_at timestamptz,
  unique (organization_id, mount)
);
create index memory_stores_list on memory_stores (organization_id, created_at desc, id desc);

-- What is attached to a session. A row outlives what it names, and its own removal: the model was told of it.
create table session_resources (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  session_id text not null references sessions on delete cascade,
  -- In the order in which they were attached.
  position integer generated always as identity,
  type text not null check (type in ('memory_store', 'file')),
  memory_store_id text,
  -- Below /memory.
  directory text,
  access text check (access in ('read_only', 'read_write')),
  instructions text,
  -- As they were when it was attached.
  name text,
  description text,
  file_id text,
  mount_path text,
  -- Attached when the session was created: what the model is told at its beginning never changes.
  initial boolean not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  removed_at timestamptz,
  check (type <> 'memory_store'
    or (memory_store_id is not null and directory is not null and access is not null and name is not null)),
  check (type <> 'file' or (file_id is not null and mount_path is not null))
);
create unique index session_resources_once on session_resources (session_id, memory_store_id) where removed_at is null;
create unique index session_resources_directory on session_resources (session_id, directory) where removed_at is null;
create index session_resources_session on session_resources (session_id, position);
create index session_resources_store on session_resources (memory_store_id, session_id)
  where memory_store_id is not null;

-- What clients upload. A row that has expired is as good as gone.
create table uploaded_files (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  file_name text not null,
  media_type text not null,
  size_bytes bigint not null,
  -- Its parts in the blob store, in their order.
  blobs text[] not null,
  -- The API key.
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz
);
create index uploaded_files_list on uploaded_files (organization_id, created_at desc, id desc);
create index uploaded_files_expiry on uploaded_files (expires_at) where expires_at is not null;

-- What a deployment's sessions begin with, as it was asked for.
alter table deployments add column resources jsonb not null default '[]';

-- The key with which it was written, where it was the API.
alter table file_versions add column api_key_id text;

-- Down Migration
alter table file_versions drop column api_key_id;
alter table deployments drop column resources;
drop table uploaded_files, session_resources, memory_stores;
