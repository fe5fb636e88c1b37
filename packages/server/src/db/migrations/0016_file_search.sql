-- Up Migration
-- Names of a mount's files, the newest first: a search for names reads this alone, and no row. The index that it replaces
-- had no use.
drop index file_entries_revision;
create index file_entries_newest on file_entries (organization_id, mount, revision desc, path) where kind = 'file';

-- Down Migration
drop index file_entries_newest;
create index file_entries_revision on file_entries (organization_id, mount, revision);
