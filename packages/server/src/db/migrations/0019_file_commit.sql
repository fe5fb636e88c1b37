-- Up Migration
-- The one writer of stored files: `file_commit` applies a whole commit in one round trip. Every helper below is called by
-- it only, under the mount's lock.
alter table file_mounts add column directories integer not null default 0;

-- An identifier in the form of all others: ten letters of time, sixteen of chance.
create function file_identifier(prefix text) returns text language sql volatile as $$
  select prefix || '_' || (
    select string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', ((time.at >> (5 * place)) & 31)::integer + 1, 1), '' order by place desc)
    from generate_series(0, 9) place
  ) || (
    select string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (get_byte(chance.bytes, place) & 31) + 1, 1), '' order by place)
    from generate_series(0, 15) place
  )
  from (select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as at) time,
    (select uuid_send(gen_random_uuid()) as bytes) chance
$$;

-- Directories have had no history: they get its beginning, so that a mount at a revision is told with them.
update file_entries set version = 1 + coalesce((
    select max(file_versions.version) from file_versions
    where file_versions.organization_id = file_entries.organization_id and file_versions.mount = file_entries.mount
      and file_versions.path = file_entries.path), 0)
  where kind = 'directory';
insert into file_versions
    (organization_id, mount, revision, ordinal, path, version, operation, size_bytes, executable, via, created_at, id)
  select organization_id, mount, revision,
    (select coalesce(max(ordinal), -1) from file_versions
      where file_versions.organization_id = directory.organization_id and file_versions.mount = directory.mount
        and file_versions.revision = directory.revision)
      + row_number() over (partition by organization_id, mount, revision order by path),
    path, version, 'make_directory', 0, false, 'import', updated_at, file_identifier('memver')
  from file_entries directory where kind = 'directory';
update file_mounts set directories = (
  select count(*) from file_entries
  where file_entries.organization_id = file_mounts.organization_id and file_entries.mount = file_mounts.mount
    and kind = 'directory');

-- The second wall behind the server's own check of every path.
alter table file_entries add constraint file_entries_path_form
  check (path ~ '^(/[^/]+)+$' and path !~ '/\.\.?(/|$)' and octet_length(path) <= 1024);

-- Plans are made before there are statistics, and kept: a second index that begins with organization and mount would be
-- taken for the one by path, and read a whole mount for one file.
alter table file_entries drop constraint file_entries_organization_id_mount_folded_path_key;
create unique index file_entries_twins on file_entries (folded_path, mount, organization_id);

-- Compresses several times as fast, where Postgres was built with it.
do $$ begin
  alter table file_blobs alter column content set compression lz4;
  alter table file_texts alter column body set compression lz4;
exception when feature_not_supported then null;
end $$;

-- Fails the commit. The server says it in words: `detail` holds a code and the paths.
create function file_refuse(code text, path text, other text default null) returns void language plpgsql as $$
begin
  raise exception 'stored files: % %', code, path using
    errcode = 'EXF01', detail = json_build_object('code', code, 'path', path, 'other', other)::text;
end $$;

create function file_next_version(organization text, mount_key text, at_path text) returns integer
language sql stable as $$
  select coalesce(max(version), 0) + 1 from file_versions
  where organization_id = organization and mount = mount_key and path = at_path
$$;

-- Makes one directory unless it exists. Whether it made one.
create function file_make_directory(history file_versions, at_path text, at_folded text) returns boolean
language plpgsql as $$
declare
  present record;
begin
  select path, kind into present from file_entries
    where organization_id = history.organization_id and mount = history.mount and folded_path = at_folded;
  if found then
    if present.path <> at_path then perform file_refuse('twin', at_path, present.path); end if;
    if present.kind = 'file' then perform file_refuse('file_above', at_path); end if;
    return false;
  end if;
  history.path := at_path;
  history.version := file_next_version(history.organization_id, history.mount, at_path);
  history.operation := 'make_directory';
  history.id := file_identifier('memver');
  history.size_bytes := 0;
  history.executable := false;
  history.replacements := 0;
  insert into file_versions select history.*;
  insert into file_entries
    (organization_id, mount, path, folded_path, kind, version, revision, session_id, user_id, untrusted, updated_at)
    values (history.organization_id, history.mount, at_path, at_folded, 'directory', history.version, history.revision,
      history.session_id, history.user_id, history.untrusted, history.created_at);
  return true;
end $$;

-- Makes the directories above a path. How many it made.
create function file_make_parents(history file_versions, below text, below_folded text) returns integer
language plpgsql as $$
declare
  names text[] := string_to_array(below, '/');
  folded_names text[] := string_to_array(below_folded, '/');
  made integer := 0;
begin
  -- Usually all are there: the innermost stands for those above it.
  perform from file_entries where organization_id = history.organization_id and mount = history.mount
    and path = array_to_string(names[:array_length(names, 1) - 1], '/') and kind = 'directory';
  if found then return 0; end if;
  for depth in 2..array_length(names, 1) - 1 loop
    if file_make_directory(history, array_to_string(names[:depth], '/'), array_to_string(folded_names[:depth], '/')) then
      made := made + 1;
      history.ordinal := history.ordinal + 1;
    end if;
  end loop;
  return made;
end $$;

-- The session has this version before its eyes. Versions only grow.
create function file_know(in_session text, organization text, mount_key text, at_path text, at_version integer)
returns void language sql as $$
  insert into file_reads (session_id, mount, path, organization_id, version)
    values (in_session, mount_key, at_path, organization, at_version)
    on conflict (session_id, mount, path) do update set version = excluded.version
      where file_reads.version < excluded.version
$$;

-- The text of a file for search; null: it is binary. `later`: it need not be in the index at once.
create function file_keep_text(entry bigint, organization text, new_body text, later boolean) returns void
language plpgsql as $$
begin
  if new_body is null then
    delete from file_texts where entry_id = entry;
  else
    insert into file_texts (entry_id, organization_id, body) values (entry, organization, new_body)
      on conflict (entry_id) do update set body = excluded.body;
  end if;
end $$;

-- Moves a file, or a directory with everything below it. How many rows of history it wrote: two for each.
create function file_move(history file_versions, source file_entries, target text, target_folded text, limits jsonb)
returns integer language plpgsql as $$
declare
  written integer;
  too_long text;
begin
  select target || substr(path, length(source.path) + 1) into too_long from file_entries
    where organization_id = history.organization_id and mount = history.mount
      and path >= source.path and path < source.path || '0'
      and (id = source.id or (source.kind = 'directory' and path > source.path || '/'))
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
      and entry.path >= source.path and entry.path < source.path || '0'
      and (entry.id = source.id or (source.kind = 'directory' and entry.path > source.path || '/'))
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
      select history.session_id, history.mount, versioned.new_path, history.organization_id, versioned.new_version
      from versioned cross join lateral (
        select from file_reads where file_reads.session_id = history.session_id and file_reads.mount = history.mount
          and file_reads.path = versioned.path and file_reads.version = versioned.version limit 1) seen
      on conflict (session_id, mount, path) do update set version = excluded.version
  )
  update file_entries set path = new_path, folded_path = new_folded, version = new_version,
      revision = history.revision, session_id = history.session_id, user_id = history.user_id,
      untrusted = file_entries.untrusted or history.untrusted, updated_at = history.created_at
    from versioned where file_entries.id = versioned.id;
  get diagnostics written = row_count;
  return 2 * written;
end $$;

-- Applies changes in their order, all or none.
--   actor    {session, user, call, via, untrusted}
--   limits   {files, bytes, longest, deepest}: of the mount; of a stored path in bytes and segments
--   changes  [{type, path, folded, id, …}], `id` that of the version it makes; `expected`: the version that the path must have (null: nothing there), compared
--            with what was there before the whole commit; `once`: where the call has done this before, its first result
--            is answered; `seen`: the session must know the head that it replaces
--   contents those of all puts, one after the other
-- Answers {revision, paths, versions, memories, created} for what was put or moved; {stale: [path]} where an expectation was
-- not met, or {recorded} for a call that was carried out before: then nothing was changed.
create function file_commit(organization text, mount_key text, actor jsonb, limits jsonb, changes jsonb, contents bytea)
returns jsonb language plpgsql as $$
declare
  state file_mounts;
  before file_mounts;
  history file_versions;
  first_ordinal constant integer := 0;
  change jsonb;
  target text;
  head file_entries;
  present record;
  count integer;
  put_paths text[] := '{}';
  put_versions integer[] := '{}';
  put_memories text[] := '{}';
  put_created boolean[] := '{}';
  recorded jsonb;
  stale_paths text[] := '{}';
begin
  -- First of all: what is read after this statement is what is true until the commit. A statement that locked and read
  -- at once would see other rows as they were before it waited.
  select * into state from file_mounts where organization_id = organization and mount = mount_key for update;
  if not found then
    insert into file_mounts (organization_id, mount) values (organization, mount_key) on conflict do nothing;
    select * into state from file_mounts where organization_id = organization and mount = mount_key for update;
  end if;
  before := state;

  if changes->0 ? 'once' and actor->>'call' is not null then
    select jsonb_build_object('version', version, 'operation', operation) into recorded from (
      select version, operation, sha256 from file_versions
      where organization_id = organization and tool_use_id = actor->>'call' and mount = mount_key
        and path = changes->0->>'path'
      order by version desc limit 1) last
    where case changes->0->>'type' when 'put' then sha256 = changes->0->>'sha256' else operation = changes->0->>'once' end;
    if found then return jsonb_build_object('revision', state.revision, 'recorded', recorded); end if;
  end if;

  for change in select value from jsonb_array_elements(changes) loop
    if change ? 'expected' or change ? 'seen' then
      select * into head from file_entries
        where organization_id = organization and mount = mount_key and path = change->>'path'
          and (kind = 'file' or change->>'type' in ('move', 'remove_directory'));
      if change ? 'expected' and head.version is distinct from (change->>'expected')::integer
        or change ? 'seen' and head.id is not null and head.sha256 <> change->>'sha256' and not exists (
          select from file_reads where session_id = actor->>'session' and file_reads.mount = mount_key
            and file_reads.path = head.path and file_reads.version = head.version) then
        stale_paths := stale_paths || (change->>'path');
      end if;
    end if;
  end loop;
  if cardinality(stale_paths) > 0 then
    return jsonb_build_object('revision', state.revision, 'stale', stale_paths);
  end if;

  -- In the order of their hashes: two mounts that store the same contents at once cannot wait for each other in a ring.
  -- The update locks a content that is there, against its being redacted meanwhile.
  insert into file_blobs (organization_id, sha256, content)
    select distinct on (wanted->>'sha256') organization, wanted->>'sha256',
      substring(contents from (wanted->>'offset')::integer + 1 for (wanted->>'size')::integer)
    from jsonb_array_elements(changes) wanted where wanted->>'type' = 'put' order by wanted->>'sha256'
    on conflict (organization_id, sha256) do update set content = excluded.content where file_blobs.content is null;

  history.organization_id := organization;
  history.mount := mount_key;
  history.revision := state.revision + 1;
  history.session_id := actor->>'session';
  history.user_id := actor->>'user';
  history.tool_use_id := actor->>'call';
  history.api_key_id := actor->>'key';
  history.via := actor->>'via';
  history.untrusted := coalesce((actor->>'untrusted')::boolean, false);
  -- Later than that of every earlier revision, as a transaction's beginning need not be.
  history.created_at := date_trunc('milliseconds', clock_timestamp());
  history.ordinal := first_ordinal;

  for change in select value from jsonb_array_elements(changes) loop
    target := change->>'path';
    select * into head from file_entries where organization_id = organization and mount = mount_key and path = target;
    history.path := target;
    history.base_version := head.version;
    history.memory_id := head.memory_id;
    history.version := head.version + 1;
    history.operation := change->>'type';
    history.sha256 := null;
    history.source_sha256 := null;
    history.size_bytes := 0;
    history.executable := false;
    history.replacements := 0;
    case change->>'type'
    when 'put' then
      if head.kind = 'directory' then perform file_refuse('is_directory', target); end if;
      if head.id is not null and change ? 'revived' then perform file_refuse('exists', target); end if;
      history.executable := coalesce((change->>'executable')::boolean, head.executable, false);
      if head.sha256 = change->>'sha256' and head.executable = history.executable then
        put_paths := put_paths || target;
        put_versions := put_versions || head.version;
        put_memories := put_memories || head.memory_id;
        put_created := put_created || false;
        if history.session_id is not null and change->>'known' = 'always' then
          perform file_know(history.session_id, organization, mount_key, target, head.version);
        end if;
        continue;
      end if;
      if head.id is null then
        select path into present from file_entries
          where organization_id = organization and mount = mount_key and folded_path = change->>'folded';
        if found then perform file_refuse('twin', target, present.path); end if;
        history.base_version := null;
        history.sha256 := null;
        history.memory_id := null;
        count := file_make_parents(history, target, change->>'folded');
        history.ordinal := history.ordinal + count;
        state.directories := state.directories + count;
        history.memory_id := change->>'memory';
        if change ? 'revived' then
          -- The same file again, unless it lives on under another name.
          perform from file_entries where memory_id = change->>'revived';
          if not found then history.memory_id := change->>'revived'; end if;
        end if;
        history.version := file_next_version(organization, mount_key, target);
        history.operation := 'create';
        state.files := state.files + 1;
      else
        history.operation := change->>'operation';
      end if;
      history.sha256 := change->>'sha256';
      history.source_sha256 := change->>'source';
      history.size_bytes := (change->>'size')::integer;
      history.replacements := coalesce((change->>'replacements')::integer, 0);
      state.bytes := state.bytes + history.size_bytes - coalesce(head.size_bytes, 0);
      if head.id is null then
        insert into file_entries (organization_id, mount, path, folded_path, kind, version, revision, sha256, size_bytes,
            executable, session_id, user_id, untrusted, memory_id, updated_at)
          values (organization, mount_key, target, change->>'folded', 'file', history.version, history.revision,
            history.sha256, history.size_bytes, history.executable, history.session_id, history.user_id,
            history.untrusted, history.memory_id, history.created_at)
          returning id into head.id;
      else
        update file_entries set version = history.version, revision = history.revision, sha256 = history.sha256,
            size_bytes = history.size_bytes, executable = history.executable, session_id = history.session_id,
            user_id = history.user_id, untrusted = history.untrusted, updated_at = history.created_at
          where id = head.id;
      end if;
      if head.sha256 is distinct from history.sha256 then
        perform file_keep_text(head.id, organization,
          case when (change->>'text')::boolean then
            convert_from(substring(contents from (change->>'offset')::integer + 1 for (change->>'size')::integer), 'UTF8') end,
          jsonb_array_length(changes) <= 8);
      end if;
      put_paths := put_paths || target;
      put_versions := put_versions || history.version;
      put_memories := put_memories || history.memory_id;
      put_created := put_created || (history.operation = 'create');
      if history.session_id is not null and change->>'known' = 'always' then
        perform file_know(history.session_id, organization, mount_key, target, history.version);
      elsif history.session_id is not null and change->>'known' = 'follow' then
        update file_reads set version = history.version where session_id = history.session_id
          and file_reads.mount = mount_key and file_reads.path = target and file_reads.version = head.version;
      end if;
    when 'delete' then
      if head.id is null or head.kind = 'directory' then
        if change ? 'once' then perform file_refuse(case when head.id is null then 'not_found' else 'is_directory' end, target); end if;
        continue;
      end if;
      delete from file_entries where id = head.id;
      state.files := state.files - 1;
      state.bytes := state.bytes - head.size_bytes;
    when 'make_directory' then
      if head.kind = 'file' then perform file_refuse('is_file', target); end if;
      if head.id is not null then continue; end if;
      count := file_make_parents(history, target, change->>'folded');
      history.ordinal := history.ordinal + count;
      if file_make_directory(history, target, change->>'folded') then
        history.ordinal := history.ordinal + 1;
        count := count + 1;
      end if;
      state.directories := state.directories + count;
      continue;
    when 'remove_directory' then
      if head.id is null then continue; end if;
      if head.kind = 'file' then perform file_refuse('not_directory', target); end if;
      perform from file_entries where organization_id = organization and mount = mount_key
        and path > target || '/' and path < target || '0';
      if found then
        if change ? 'ifEmpty' then continue; end if;
        perform file_refuse('not_empty', target);
      end if;
      delete from file_entries where id = head.id;
      state.directories := state.directories - 1;
    when 'move' then
      if head.id is null then perform file_refuse('not_found', target); end if;
      target := change->>'to';
      if target = head.path then continue; end if;
      if starts_with(target, head.path || '/') then perform file_refuse('into_itself', target, head.path); end if;
      select id, path into present from file_entries
        where organization_id = organization and mount = mount_key and folded_path = change->>'folded';
      if found and present.id <> head.id then
        perform file_refuse(case when present.path = target then 'exists' else 'twin' end, target, present.path);
      end if;
      history.base_version := null;
      history.memory_id := null;
      count := file_make_parents(history, target, change->>'folded');
      history.ordinal := history.ordinal + count;
      state.directories := state.directories + count;
      history.ordinal := history.ordinal + file_move(history, head, target, change->>'folded', limits);
      if head.kind = 'file' then
        put_paths := put_paths || target;
        put_versions := put_versions || (select version from file_entries where id = head.id);
        put_memories := put_memories || head.memory_id;
        put_created := put_created || false;
      end if;
      continue;
    end case;
    history.id := change->>'id';
    insert into file_versions select history.*;
    history.ordinal := history.ordinal + 1;
  end loop;

  if history.ordinal = first_ordinal then
    return jsonb_build_object('revision', state.revision, 'paths', put_paths, 'versions', put_versions, 'memories', put_memories,
      'created', put_created);
  end if;
  if state.files > greatest(before.files, (limits->>'files')::integer) then perform file_refuse('too_many_files', ''); end if;
  if state.directories > greatest(before.directories, (limits->>'files')::integer) then
    perform file_refuse('too_many_directories', '');
  end if;
  if state.bytes > greatest(before.bytes, (limits->>'bytes')::bigint) then perform file_refuse('too_many_bytes', ''); end if;
  update file_mounts set revision = history.revision, files = state.files, directories = state.directories,
      bytes = state.bytes
    where organization_id = organization and mount = mount_key;
  return jsonb_build_object('revision', history.revision, 'paths', put_paths, 'versions', put_versions,
    'memories', put_memories, 'created', put_created);
end $$;

-- Down Migration
drop function file_commit, file_move, file_keep_text, file_know, file_make_parents, file_make_directory, file_next_version, file_refuse;
drop function file_identifier;
drop index file_entries_twins;
alter table file_entries add unique (organization_id, mount, folded_path);
alter table file_blobs alter column content set compression default;
alter table file_texts alter column body set compression default;
alter table file_entries drop constraint file_entries_path_form;
alter table file_mounts drop column directories;
