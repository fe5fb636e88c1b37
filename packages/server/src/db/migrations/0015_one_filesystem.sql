-- Up Migration
-- Files are named by their mount and their path in it: the same files can be seen at different places by different
-- sessions, and two people's /memory/me do not meet.
alter table file_entries
  drop constraint file_entries_organization_id_mount_fkey,
  drop constraint file_entries_organization_id_path_key,
  drop constraint file_entries_organization_id_folded_path_key;
alter table file_versions drop constraint file_versions_organization_id_path_version_key;
update file_mounts set mount = substr(mount, 2);
update file_entries set path = substr(path, length(mount) + 1), folded_path = substr(folded_path, length(mount) + 1);
update file_entries set mount = substr(mount, 2);
update file_versions set path = substr(path, length(mount) + 1), mount = substr(mount, 2);
alter table file_entries
  add foreign key (organization_id, mount) references file_mounts on delete cascade,
  add unique (organization_id, mount, path),
  add unique (organization_id, mount, folded_path),
  -- mem_…; stays the same when the file is renamed. Null for directories.
  add column memory_id text,
  add column user_id text,
  -- The session that wrote it had read what nobody vouches for.
  add column untrusted boolean not null default false;
create index file_entries_memory on file_entries (memory_id) where memory_id is not null;

alter table file_mounts add column bytes bigint not null default 0;
update file_mounts set bytes = coalesce((
  select sum(size_bytes) from file_entries
  where file_entries.organization_id = file_mounts.organization_id and file_entries.mount = file_mounts.mount), 0);

-- Null: redacted.
alter table file_blobs alter column content drop not null;

alter table file_versions
  add unique (organization_id, mount, path, version),
  drop constraint file_versions_operation_check,
  add check (operation in
    ('create', 'write', 'edit', 'merge', 'delete', 'move_in', 'move_out', 'make_directory', 'remove_directory')),
  drop constraint file_versions_via_check,
  add check (via in ('tool', 'bash', 'api', 'import', 'undo')),
  -- memver_…
  add column id text,
  add column memory_id text,
  -- Where a moved file came from, or went to.
  add column other_path text collate "C",
  add column user_id text,
  add column untrusted boolean not null default false,
  add column redacted_at timestamptz,
  add column redacted_by jsonb;
drop index file_versions_call;
create index file_versions_call on file_versions (organization_id, tool_use_id, mount, path) where tool_use_id is not null;
create unique index file_versions_id on file_versions (id);
create index file_versions_memory on file_versions (memory_id, revision) where memory_id is not null;
create index file_versions_session on file_versions (session_id, mount, revision) where session_id is not null;

-- Identifiers for what was written before there were any, in the form of all others.
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
update file_entries set memory_id = exoloop_identifier('mem', updated_at) where kind = 'file';
update file_versions set id = exoloop_identifier('memver', created_at);
update file_versions set memory_id = file_entries.memory_id from file_entries
  where file_entries.organization_id = file_versions.organization_id
    and file_entries.mount = file_versions.mount and file_entries.path = file_versions.path;
drop function exoloop_identifier;
alter table file_versions alter column id set not null;

alter table file_reads add column mount text;
delete from file_reads where path not like '/skills/%' and path not like '/memory/org/%';
update file_reads set
  mount = case when path like '/skills/%' then 'skills' else 'memory/org' end,
  path = case when path like '/skills/%' then substr(path, 8) else substr(path, 12) end;
alter table file_reads
  alter column mount set not null,
  drop constraint file_reads_pkey,
  add primary key (session_id, mount, path);

alter table file_conflicts add column mount text;
delete from file_conflicts where path not like '/skills/%' and path not like '/memory/org/%';
update file_conflicts set
  mount = case when path like '/skills/%' then 'skills' else 'memory/org' end,
  path = case when path like '/skills/%' then substr(path, 8) else substr(path, 12) end;
alter table file_conflicts alter column mount set not null, add column user_id text, add column resolved_at timestamptz;
drop index file_conflicts_path;
create index file_conflicts_path on file_conflicts (organization_id, mount, path, created_at desc);

-- Keys of mounts, as above.
update file_projections set revisions =
  (select coalesce(jsonb_object_agg(ltrim(key, '/'), value), '{}') from jsonb_each(revisions));

-- Down Migration
delete from file_projections;
delete from file_conflicts;
delete from file_reads;
alter table file_conflicts drop column mount, drop column user_id, drop column resolved_at;
create index file_conflicts_path on file_conflicts (organization_id, path, created_at desc);
alter table file_reads drop constraint file_reads_pkey, drop column mount, add primary key (session_id, path);
drop index file_versions_call, file_versions_id, file_versions_memory, file_versions_session;
-- What the older form cannot say goes: other mounts, directories of their own, redacted contents.
delete from file_mounts where mount not in ('skills', 'memory/org');
delete from file_versions where mount not in ('skills', 'memory/org')
  or operation in ('make_directory', 'remove_directory');
update file_versions set operation = 'delete' where operation = 'move_out';
update file_versions set operation = 'write' where operation = 'move_in';
update file_versions set via = 'api' where via = 'undo';
update file_blobs set content = '' where content is null;
alter table file_blobs alter column content set not null;
alter table file_mounts drop column bytes;
alter table file_versions
  drop constraint file_versions_organization_id_mount_path_version_key,
  drop constraint file_versions_operation_check,
  drop constraint file_versions_via_check,
  drop column id, drop column memory_id, drop column other_path, drop column user_id, drop column untrusted,
  drop column redacted_at, drop column redacted_by;
alter table file_entries
  drop constraint file_entries_organization_id_mount_fkey,
  drop constraint file_entries_organization_id_mount_path_key,
  drop constraint file_entries_organization_id_mount_folded_path_key,
  drop column memory_id, drop column user_id, drop column untrusted;
update file_entries set path = '/' || mount || path, folded_path = '/' || mount || folded_path, mount = '/' || mount;
update file_versions set path = '/' || mount || path, mount = '/' || mount;
update file_mounts set mount = '/' || mount;
alter table file_entries
  add foreign key (organization_id, mount) references file_mounts on delete cascade,
  add unique (organization_id, path),
  add unique (organization_id, folded_path);
alter table file_versions
  add unique (organization_id, path, version),
  add check (operation in ('create', 'write', 'edit', 'merge', 'delete')),
  add check (via in ('tool', 'bash', 'api', 'import'));
create index file_versions_call on file_versions (organization_id, tool_use_id, path) where tool_use_id is not null;

