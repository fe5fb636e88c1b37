-- Up Migration
-- What the model has been shown of a background command's output: [{"by": tool use, "from": byte, "to": byte}, …].
alter table sandbox_leases add column readings jsonb not null default '[]';
-- Signs preview URLs. Written by the first server that makes one.
alter table installation add column preview_key bytea check (length(preview_key) = 32);

-- Down Migration
alter table installation drop column preview_key;
alter table sandbox_leases drop column readings;
