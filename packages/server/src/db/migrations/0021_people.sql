-- Up Migration
-- The people of an organization, as whoever runs it names them.
create table users (
  id text primary key,
  organization_id text not null references organizations,
  -- What the organization calls them: an account's id, an address.
  external_id text not null,
  name text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  archived_at timestamptz,
  unique (organization_id, external_id),
  unique (organization_id, id)
);
create index users_list on users (organization_id, created_at desc, id desc);

-- Null: a key of the organization itself. Keys, sessions and people of different organizations never meet.
alter table api_keys
  add column user_id text,
  add foreign key (organization_id, user_id) references users (organization_id, id);

alter table sessions
  add column user_id text,
  add column visibility text not null default 'shared' check (visibility in ('private', 'shared')),
  -- It has read what nobody vouches for; also in its log.
  add column untrusted boolean not null default false,
  add foreign key (organization_id, user_id) references users (organization_id, id),
  add constraint sessions_private_to_somebody check (visibility = 'shared' or user_id is not null);
create index sessions_user on sessions (organization_id, user_id, created_at desc, id desc) where user_id is not null;

update sessions set untrusted = true where exists (
  select from session_events event where event.session_id = sessions.id and (
    event.type in ('user.custom_tool_result', 'agent.mcp_tool_result')
    or (event.type in ('agent.tool_result', 'x.wait_ended') and event.record->'delivery' is not null)));

-- Of a private session that was deleted: whose it was. Null: the session itself says who may use it.
alter table snapshots add column private_to text;

alter table file_versions
  drop constraint file_versions_operation_check,
  add check (operation in ('create', 'write', 'edit', 'merge', 'delete', 'move_in', 'move_out', 'make_directory',
    'remove_directory', 'vouch'));
alter table file_versions
  drop constraint file_versions_via_check,
  add check (via in ('tool', 'bash', 'api', 'import', 'undo', 'promotion'));
create index file_versions_personal on file_versions (organization_id, mount, sha256)
  where starts_with(mount, 'memory/user/');

-- What holds for every way of writing. Content of a person's own memory does not enter memory that others read, but by a
-- promotion. The mark of untrusted content stays with what is edited, and comes back with what is restored.
-- Whether a content is of the person's own memory, and nobody else has read it in this mount.
create function file_is_note(organization text, mount_key text, of_user text, hash text) returns boolean
language plpgsql stable as $$
begin
  perform from file_versions where organization_id = organization and starts_with(mount, 'memory/user/')
    and mount = 'memory/user/' || of_user and sha256 = hash;
  if not found then return false; end if;
  perform from file_versions where organization_id = organization and mount = mount_key and sha256 = hash;
  return not found;
end $$;

create function file_versions_origin() returns trigger language plpgsql as $$
begin
  if new.via in ('tool', 'bash') and new.user_id is not null and new.size_bytes >= 32
      and (new.mount = 'memory/org' or starts_with(new.mount, 'store/')) then
    -- Of a merge, what went into it.
    if file_is_note(new.organization_id, new.mount, new.user_id, new.sha256)
        or new.operation = 'merge' and file_is_note(new.organization_id, new.mount, new.user_id, new.source_sha256) then
      perform file_refuse('personal', new.path);
    end if;
  end if;
  -- A worker of the session's own writes over the API what the session knows.
  if not new.untrusted and new.via = 'api' and new.session_id is not null then
    select untrusted into new.untrusted from sessions where id = new.session_id;
    new.untrusted := coalesce(new.untrusted, true);
    if new.untrusted then
      update file_entries set untrusted = true
        where organization_id = new.organization_id and mount = new.mount and path = new.path;
    end if;
  end if;
  if not new.untrusted and (new.operation in ('edit', 'merge') or new.via = 'undo') then
    if new.via = 'undo' then
      -- The same content's, whatever the file was called then. What is undone in the midst of others' changes may bring
      -- back a line of any earlier version.
      select case when new.operation = 'merge' then bool_or(untrusted)
          else (array_agg(untrusted order by revision desc, ordinal desc))[1] end
        into new.untrusted from (
          select untrusted, revision, ordinal, sha256 from file_versions
            where organization_id = new.organization_id and mount = new.mount and path = new.path
          union all
          select untrusted, revision, ordinal, sha256 from file_versions
            where memory_id = new.memory_id and mount || '' = new.mount) earlier
        where new.operation = 'merge' or sha256 = new.sha256;
    else
      select untrusted into new.untrusted from file_versions
        where organization_id = new.organization_id and mount = new.mount and path = new.path
          and version = new.base_version;
    end if;
    new.untrusted := coalesce(new.untrusted, false);
    if new.untrusted then
      update file_entries set untrusted = true
        where organization_id = new.organization_id and mount = new.mount and path = new.path;
    end if;
  end if;
  return new;
end $$;
create trigger file_versions_origin before insert on file_versions for each row
  when (new.sha256 is not null and new.operation <> 'vouch')
  execute function file_versions_origin();

create index file_entries_untrusted on file_entries (organization_id, mount) where untrusted;

-- Down Migration
drop trigger file_versions_origin on file_versions;
drop function file_is_note, file_versions_origin;
drop index file_entries_untrusted, file_versions_personal;
update file_versions set via = 'tool' where via = 'promotion';
alter table file_versions
  drop constraint file_versions_via_check,
  add check (via in ('tool', 'bash', 'api', 'import', 'undo'));
update file_versions set operation = 'write' where operation = 'vouch';
alter table file_versions
  drop constraint file_versions_operation_check,
  add check (operation in ('create', 'write', 'edit', 'merge', 'delete', 'move_in', 'move_out', 'make_directory',
    'remove_directory'));
alter table snapshots drop column private_to;
drop index sessions_user;
alter table sessions drop column user_id, drop column visibility, drop column untrusted;
-- Else everybody's sessions would be seen with the key of one person.
delete from api_keys where user_id is not null;
alter table api_keys drop column user_id;
drop table users;
