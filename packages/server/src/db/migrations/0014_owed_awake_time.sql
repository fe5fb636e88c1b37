-- Up Migration
-- Awake time that no result has told: looked for again and again.
create index sandboxes_owed on sandboxes (session_id) where owed_milliseconds >= 1;

-- Down Migration
drop index sandboxes_owed;
