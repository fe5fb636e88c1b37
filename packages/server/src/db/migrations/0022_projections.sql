-- Up Migration
-- Where each projected mount lies in the sandbox, by its key: copies of a mount that is not seen any more are removed,
-- by whichever worker looks next.
alter table file_projections add column places jsonb not null default '{}';
update file_projections set places =
  (select coalesce(jsonb_object_agg(key, '/' || key), '{}') from jsonb_each(revisions));

-- What a call has lost to a path is kept once, however often the call is captured.
delete from file_conflicts later using file_conflicts earlier where later.id > earlier.id
  and later.organization_id = earlier.organization_id and later.mount = earlier.mount and later.path = earlier.path
  and later.tool_use_id = earlier.tool_use_id and later.sha256 = earlier.sha256;
create unique index file_conflicts_call on file_conflicts (organization_id, tool_use_id, mount, path, sha256)
  where tool_use_id is not null;

-- Down Migration
drop index file_conflicts_call;
alter table file_projections drop column places;
