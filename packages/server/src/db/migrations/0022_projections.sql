-- Up Migration
-- Where each projected mount lies in the sandbox, by its key: copies of a mount that is not seen any more are removed,
-- by whichever worker looks next.
alter table file_projections add column places jsonb not null default '{}';
update file_projections set places =
  (select coalesce(jsonb_object_agg(key, '/' || key), '{}') from jsonb_each(revisions));

-- Down Migration
alter table file_projections drop column places;
