-- Up Migration
-- Answers to POST requests that carried an Idempotency-Key, for a day.
create table idempotent_requests (
  organization_id text not null references organizations on delete cascade,
  -- SHA-256 of the key: clients put what they like into it.
  key_hash bytea not null,
  -- SHA-256 of method, path, query and body: the same key with another request is a mistake.
  fingerprint bytea not null,
  -- Null while the request runs, and for ever when its process died.
  status integer,
  answer jsonb,
  created_at timestamptz not null default now(),
  primary key (organization_id, key_hash)
);
create index idempotent_requests_age on idempotent_requests (created_at);

-- Down Migration
drop table idempotent_requests;
