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
create index file_entries_untrusted on file_entries (organization_id, mount) where untrusted;

-- Down Migration
drop index file_entries_untrusted;
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
