-- Up Migration
-- The last 100 commands that anybody was about to start in the session's sandbox, as identifier@generation, each written
-- before it was sent: a driver that finds no trace of a command knows whether an earlier generation may have seen it.
alter table sandboxes add column command_attempts text[] not null default '{}';

-- Down Migration
alter table sandboxes drop column command_attempts;
