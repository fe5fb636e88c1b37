-- Up Migration
-- Named addresses that others post to; a session waits for one by its name.
create table webhooks (
  id text primary key,
  organization_id text not null references organizations,
  name text not null check (name ~ '^[a-z0-9-]{1,64}$'),
  -- The key itself: verifying an HMAC needs it. Read by the verification alone.
  secret bytea not null,
  created_at timestamptz not null default now(),
  secret_changed_at timestamptz not null default now(),
  unique (organization_id, name)
);

-- Verified deliveries, for a day: until all who wait have theirs, and for those who wait a moment too late.
create table webhook_deliveries (
  webhook_id text not null references webhooks on delete cascade,
  -- The sender's webhook-id: the same twice is one delivery.
  delivery_id text not null,
  organization_id text not null references organizations,
  payload bytea not null,
  received_at timestamptz not null default now(),
  -- pending: somebody who waits may not have been told.
  status text not null default 'pending' check (status in ('pending', 'done')),
  primary key (webhook_id, delivery_id)
);
create index webhook_deliveries_received on webhook_deliveries (webhook_id, received_at);
create index webhook_deliveries_pending on webhook_deliveries (received_at) where status = 'pending';
create index webhook_deliveries_age on webhook_deliveries (received_at);

-- Down Migration
drop table webhook_deliveries;
drop table webhooks;
