-- Up Migration
-- A skill is a directory below /skills. Its files are those of the mount `skills`; every commit that touches one makes a
-- version of it here, a snapshot that never changes.
create table skills (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  -- Of the directory. Never changes.
  name text collate "C" not null,
  display_name text not null,
  -- The newest that exists; null when all were deleted.
  latest_version_id text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, name)
);
create index skills_page on skills (organization_id, created_at, id);

create table skill_versions (
  id text primary key,
  skill_id text not null references skills on delete cascade,
  organization_id text not null,
  -- Their order: two of one millisecond have identifiers in any order.
  number bigint generated always as identity,
  description text not null,
  files integer not null,
  bytes bigint not null,
  created_at timestamptz not null default now()
);
create index skill_versions_page on skill_versions (skill_id, created_at, id);
create index skill_versions_number on skill_versions (skill_id, number);

create table skill_version_files (
  version_id text not null references skill_versions on delete cascade,
  organization_id text not null,
  -- Relative to the skill's directory.
  path text collate "C" not null,
  -- Of a blob of the organization.
  sha256 text not null,
  size_bytes integer not null,
  executable boolean not null,
  primary key (version_id, path)
);

-- What the directory has held since which revision of the mount, so that /skills can be read as it was at any of them.
create table skill_heads (
  skill_id text not null references skills on delete cascade,
  organization_id text not null,
  revision bigint not null,
  -- Null: nothing.
  version_id text references skill_versions on delete set null,
  primary key (skill_id, revision)
);
create index skill_heads_revision on skill_heads (organization_id, skill_id, revision desc);
create index skill_heads_version on skill_heads (version_id);

-- Which revision a session's turn sees is in its log.
create index session_events_skills on session_events (session_id, seq) where type = 'x.skills';

-- Skills that were brought in before.
create function exoloop_identifier(prefix text, moment timestamptz) returns text language plpgsql volatile as $$
declare
  letters constant text := '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  rest bigint := floor(extract(epoch from moment) * 1000);
  body text := '';
begin
  for position in 1..10 loop
    body := substr(letters, (rest % 32)::integer + 1, 1) || body;
    rest := rest / 32;
  end loop;
  for position in 1..16 loop
    body := body || substr(letters, floor(random() * 32)::integer + 1, 1);
  end loop;
  return prefix || '_' || body;
end $$;
insert into skills (id, organization_id, name, display_name, created_at, updated_at)
  select exoloop_identifier('skill', min(updated_at)), organization_id, split_part(path, '/', 2),
         split_part(path, '/', 2), min(updated_at), max(updated_at)
  from file_entries where mount = 'skills' and kind = 'file' and path like '/%/%'
  group by organization_id, split_part(path, '/', 2)
  having bool_or(path = '/' || split_part(path, '/', 2) || '/SKILL.md');
insert into skill_versions (id, skill_id, organization_id, description, files, bytes, created_at)
  select exoloop_identifier('skillver', skills.updated_at), skills.id, skills.organization_id,
         coalesce(max(substring(file_texts.body from '(?n)^description:[ \t]*(.+)$')), ''),
         count(*), sum(file_entries.size_bytes), skills.updated_at
  from skills
  join file_entries on file_entries.organization_id = skills.organization_id and file_entries.mount = 'skills'
    and file_entries.kind = 'file' and split_part(file_entries.path, '/', 2) = skills.name
  left join file_texts on file_texts.entry_id = file_entries.id
    and file_entries.path = '/' || skills.name || '/SKILL.md'
  group by skills.id;
insert into skill_version_files (version_id, organization_id, path, sha256, size_bytes, executable)
  select skill_versions.id, skills.organization_id, substr(file_entries.path, length(skills.name) + 3), file_entries.sha256,
         file_entries.size_bytes, file_entries.executable
  from skills
  join skill_versions on skill_versions.skill_id = skills.id
  join file_entries on file_entries.organization_id = skills.organization_id and file_entries.mount = 'skills'
    and file_entries.kind = 'file' and split_part(file_entries.path, '/', 2) = skills.name;
insert into skill_heads (skill_id, organization_id, revision, version_id)
  select skill_id, organization_id, 0, id from skill_versions;
update skills set latest_version_id = skill_versions.id from skill_versions where skill_versions.skill_id = skills.id;
drop function exoloop_identifier;

-- Down Migration
drop index session_events_skills;
drop table skill_heads, skill_version_files, skill_versions, skills;
