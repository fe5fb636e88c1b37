-- Up Migration
-- A mark of untrusted content comes along when a file is moved, in its history too; and stays where the changes of one
-- session are taken out of a file that others have changed since.
create or replace function file_move(history file_versions, source file_entries, target text, target_folded text, limits jsonb)
returns integer language plpgsql as $$
declare
  written integer;
  too_long text;
begin
  select target || substr(path, length(source.path) + 1) into too_long from file_entries
    where organization_id = history.organization_id and mount = history.mount
      and (id = source.id or (source.kind = 'directory' and path > source.path || '/' and path < source.path || '0'))
      and (octet_length(target || substr(path, length(source.path) + 1)) > (limits->>'longest')::integer
        or array_length(string_to_array(target || substr(path, length(source.path) + 1), '/'), 1) - 1 > (limits->>'deepest')::integer)
    limit 1;
  if found then perform file_refuse('too_long', too_long); end if;
  with moved as (
    select entry.*, target || substr(entry.path, length(source.path) + 1) as new_path,
      target_folded || substr(entry.folded_path, length(source.folded_path) + 1) as new_folded,
      row_number() over (order by entry.path)::integer as place
    from file_entries entry
    where entry.organization_id = history.organization_id and entry.mount = history.mount
      and (entry.id = source.id
        or (source.kind = 'directory' and entry.path > source.path || '/' and entry.path < source.path || '0'))
  ), versioned as (
    select moved.*, file_next_version(history.organization_id, history.mount, moved.new_path) as new_version from moved
  ), told as (
    insert into file_versions (organization_id, mount, revision, ordinal, path, version, operation, base_version, sha256,
        size_bytes, executable, session_id, user_id, untrusted, tool_use_id, via, created_at, id, memory_id, other_path,
        api_key_id)
      select history.organization_id, history.mount, history.revision,
        history.ordinal + 2 * (place - 1) + case when comes then 1 else 0 end,
        case when comes then new_path else path end,
        case when comes then new_version else version + 1 end,
        case when comes then 'move_in' else 'move_out' end,
        version, case when comes then sha256 end, case when comes then size_bytes else 0 end, comes and executable,
        history.session_id, history.user_id, history.untrusted or comes and versioned.untrusted, history.tool_use_id,
        history.via, history.created_at, file_identifier('memver'), memory_id, case when comes then path else new_path end,
        history.api_key_id
      from versioned, (values (false), (true)) ends (comes)
  ), known as (
    insert into file_reads (session_id, mount, path, organization_id, version)
      select seen.session_id, history.mount, versioned.new_path, history.organization_id, versioned.new_version
      from versioned join file_reads seen on seen.session_id = history.session_id and seen.mount = history.mount
        and seen.path = versioned.path and seen.version = versioned.version
      on conflict (session_id, mount, path) do update set version = excluded.version
  )
  update file_entries set path = new_path, folded_path = new_folded, version = new_version,
      revision = history.revision, session_id = history.session_id, user_id = history.user_id,
      untrusted = file_entries.untrusted or history.untrusted, updated_at = history.created_at
    from versioned where file_entries.id = versioned.id;
  get diagnostics written = row_count;
  return 2 * written;
end $$;
do $$ begin
  loop
    update file_versions arrival set untrusted = true from file_versions origin
      where arrival.operation = 'move_in' and arrival.sha256 is not null and not arrival.untrusted and origin.untrusted
        and origin.organization_id = arrival.organization_id and origin.mount = arrival.mount
        and origin.path = arrival.other_path and origin.version = arrival.base_version;
    exit when not found;
  end loop;
end $$;

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

create or replace function file_versions_origin() returns trigger language plpgsql as $$
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
    select untrusted into new.untrusted from file_versions
      where organization_id = new.organization_id and mount = new.mount and path = new.path
        and case when new.via = 'undo' then sha256 = new.sha256 else version = new.base_version end
      order by version desc limit 1;
    -- What is undone in the midst of others' changes may bring back a line of any earlier version.
    if new.via = 'undo' and new.operation = 'merge' and new.untrusted is not true then
      new.untrusted := exists (select from file_versions
        where organization_id = new.organization_id and mount = new.mount and path = new.path and untrusted);
    end if;
    new.untrusted := coalesce(new.untrusted, false);
    if new.untrusted then
      update file_entries set untrusted = true
        where organization_id = new.organization_id and mount = new.mount and path = new.path;
    end if;
  end if;
  return new;
end $$;

-- Down Migration
create or replace function file_versions_origin() returns trigger language plpgsql as $$
begin
  if new.via in ('tool', 'bash') and new.user_id is not null and new.size_bytes >= 32
      and (new.mount = 'memory/org' or starts_with(new.mount, 'store/')) then
    perform from file_versions where organization_id = new.organization_id and starts_with(mount, 'memory/user/')
      and mount = 'memory/user/' || new.user_id and sha256 = new.sha256;
    if found then
      -- What others have read already is no secret.
      perform from file_versions
        where organization_id = new.organization_id and mount = new.mount and sha256 = new.sha256;
      if not found then perform file_refuse('personal', new.path); end if;
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
    select untrusted into new.untrusted from file_versions
      where organization_id = new.organization_id and mount = new.mount and path = new.path
        and case when new.via = 'undo' then sha256 = new.sha256 else version = new.base_version end
      order by version desc limit 1;
    new.untrusted := coalesce(new.untrusted, false);
    if new.untrusted then
      update file_entries set untrusted = true
        where organization_id = new.organization_id and mount = new.mount and path = new.path;
    end if;
  end if;
  return new;
end $$;
drop function file_is_note;
create or replace function file_move(history file_versions, source file_entries, target text, target_folded text, limits jsonb)
returns integer language plpgsql as $$
declare
  written integer;
  too_long text;
begin
  select target || substr(path, length(source.path) + 1) into too_long from file_entries
    where organization_id = history.organization_id and mount = history.mount
      and (id = source.id or (source.kind = 'directory' and path > source.path || '/' and path < source.path || '0'))
      and (octet_length(target || substr(path, length(source.path) + 1)) > (limits->>'longest')::integer
        or array_length(string_to_array(target || substr(path, length(source.path) + 1), '/'), 1) - 1 > (limits->>'deepest')::integer)
    limit 1;
  if found then perform file_refuse('too_long', too_long); end if;
  with moved as (
    select entry.*, target || substr(entry.path, length(source.path) + 1) as new_path,
      target_folded || substr(entry.folded_path, length(source.folded_path) + 1) as new_folded,
      row_number() over (order by entry.path)::integer as place
    from file_entries entry
    where entry.organization_id = history.organization_id and entry.mount = history.mount
      and (entry.id = source.id
        or (source.kind = 'directory' and entry.path > source.path || '/' and entry.path < source.path || '0'))
  ), versioned as (
    select moved.*, file_next_version(history.organization_id, history.mount, moved.new_path) as new_version from moved
  ), told as (
    insert into file_versions (organization_id, mount, revision, ordinal, path, version, operation, base_version, sha256,
        size_bytes, executable, session_id, user_id, untrusted, tool_use_id, via, created_at, id, memory_id, other_path,
        api_key_id)
      select history.organization_id, history.mount, history.revision,
        history.ordinal + 2 * (place - 1) + case when comes then 1 else 0 end,
        case when comes then new_path else path end,
        case when comes then new_version else version + 1 end,
        case when comes then 'move_in' else 'move_out' end,
        version, case when comes then sha256 end, case when comes then size_bytes else 0 end, comes and executable,
        history.session_id, history.user_id, history.untrusted, history.tool_use_id, history.via, history.created_at,
        file_identifier('memver'), memory_id, case when comes then path else new_path end,
        history.api_key_id
      from versioned, (values (false), (true)) ends (comes)
  ), known as (
    insert into file_reads (session_id, mount, path, organization_id, version)
      select seen.session_id, history.mount, versioned.new_path, history.organization_id, versioned.new_version
      from versioned join file_reads seen on seen.session_id = history.session_id and seen.mount = history.mount
        and seen.path = versioned.path and seen.version = versioned.version
      on conflict (session_id, mount, path) do update set version = excluded.version
  )
  update file_entries set path = new_path, folded_path = new_folded, version = new_version,
      revision = history.revision, session_id = history.session_id, user_id = history.user_id,
      untrusted = file_entries.untrusted or history.untrusted, updated_at = history.created_at
    from versioned where file_entries.id = versioned.id;
  get diagnostics written = row_count;
  return 2 * written;
end $$;
