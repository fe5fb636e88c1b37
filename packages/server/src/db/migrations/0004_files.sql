-- Up Migration
create extension if not exists pg_trgm;
create extension if not exists btree_gin;

-- One row per organization and mount. Its lock is taken first by every change, so revisions have no gaps and are in
-- commit order: "what changed since revision N" misses nobody.
create table file_mounts (
  organization_id text not null references organizations on delete cascade,
  -- The prefix of its paths, such as /skills or /memory/org.
  mount text not null,
  revision bigint not null default 0,
  files integer not null default 0,
  primary key (organization_id, mount)
);

-- Keyed by organization: one cannot probe what another has stored, and erasing one touches no other.
create table file_blobs (
  organization_id text not null references organizations on delete cascade,
  -- In hexadecimal.
  sha256 text not null,
  content bytea not null,
  primary key (organization_id, sha256)
);

-- The heads: one row per live path. Directories are rows too, so that a file and a directory never share a path.
create table file_entries (
  id bigint generated always as identity primary key,
  organization_id text not null,
  mount text not null,
  path text collate "C" not null,
  -- The path in lower case: two names that differ only in case are refused.
  folded_path text collate "C" not null,
  kind text not null check (kind in ('file', 'directory')),
  -- Grows with every change of the path, also across deletion: a version never names two contents.
  version integer not null,
  revision bigint not null,
  sha256 text,
  size_bytes integer not null default 0,
  executable boolean not null default false,
  session_id text,
  updated_at timestamptz not null default now(),
  foreign key (organization_id, mount) references file_mounts on delete cascade,
  unique (organization_id, path),
  unique (organization_id, folded_path)
);
create index file_entries_revision on file_entries (organization_id, mount, revision);

-- The text of the heads, for search. It has no other index that begins with the organization and no row-level security:
-- either would let the planner pass over the trigram index, whose advantage it cannot see.
create table file_texts (
  entry_id bigint primary key references file_entries on delete cascade,
  organization_id text not null,
  body text not null
);
create index file_texts_search on file_texts using gin (organization_id, body gin_trgm_ops);

-- Append only: history, audit and change feed.
create table file_versions (
  organization_id text not null references organizations on delete cascade,
  mount text not null,
  revision bigint not null,
  ordinal integer not null,
  path text collate "C" not null,
  version integer not null,
  operation text not null check (operation in ('create', 'write', 'edit', 'merge', 'delete')),
  base_version integer,
  sha256 text,
  -- What a session wrote before it was merged: finding it again, a second attempt knows that it is in.
  source_sha256 text,
  size_bytes integer not null,
  executable boolean not null,
  -- How often an edit replaced its text.
  replacements integer not null default 0,
  session_id text,
  tool_use_id text,
  via text not null check (via in ('tool', 'bash', 'api', 'import')),
  created_at timestamptz not null default now(),
  primary key (organization_id, mount, revision, ordinal),
  unique (organization_id, path, version)
);
create index file_versions_call on file_versions (organization_id, tool_use_id, path) where tool_use_id is not null;

-- Which version a session knows: a whole-file write over any other is refused.
create table file_reads (
  session_id text not null references sessions on delete cascade,
  path text collate "C" not null,
  organization_id text not null,
  version integer not null,
  primary key (session_id, path)
);

-- The losing side of a race, kept for recovery.
create table file_conflicts (
  id bigint generated always as identity primary key,
  organization_id text not null references organizations on delete cascade,
  path text collate "C" not null,
  base_version integer,
  head_version integer,
  sha256 text not null,
  session_id text,
  tool_use_id text,
  created_at timestamptz not null default now()
);
create index file_conflicts_path on file_conflicts (organization_id, path, created_at desc);

-- Which revisions a session's sandbox holds: written after files were laid into it and before a command can see them,
-- so that any worker knows the base of what a command changed.
create table file_projections (
  session_id text primary key references sessions on delete cascade,
  organization_id text not null,
  sandbox_id text not null,
  generation integer not null,
  -- Mount → revision.
  revisions jsonb not null,
  updated_at timestamptz not null default now()
);

-- Down Migration
drop table file_projections, file_conflicts, file_reads, file_versions, file_texts, file_entries, file_blobs, file_mounts;
