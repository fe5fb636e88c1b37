-- Up Migration
-- Snapshots were archives. They are manifests now, whose content is shared between snapshots; archives cannot be read
-- any more, and no version that wrote them was released.
update sandboxes set snapshot_id = null, snapshot_at = null;
delete from snapshots;

alter table snapshots rename column sha256 to manifest_sha256;
alter table snapshots rename column size_bytes to logical_bytes;
alter table snapshots
  -- What this one added to the store.
  add column stored_bytes bigint not null,
  add column files integer not null,
  -- What was left out: sockets, FIFOs, devices.
  add column left_out integer not null,
  -- The session's snapshot before it; it may be gone.
  add column parent_id text,
  -- Of the session's sandbox.
  add column generation integer not null,
  -- Keys of all blobs that it needs, its manifest among them: what the collector must not delete.
  add column blobs text[] not null,
  -- A person wants it to stay.
  add column kept boolean not null default false;

-- A session that was begun from another one's snapshot needs it also when the other one is deleted. The collector
-- deletes what has no session and is needed by none.
alter table snapshots alter column session_id drop not null;
alter table snapshots drop constraint snapshots_session_id_fkey;
alter table snapshots
  add constraint snapshots_session_id_fkey foreign key (session_id) references sessions on delete set null;
create index snapshots_organization on snapshots (organization_id);
create index sandboxes_snapshot on sandboxes (snapshot_id);

-- Down Migration
drop index sandboxes_snapshot, snapshots_organization;
update sandboxes set snapshot_id = null, snapshot_at = null;
delete from snapshots;
alter table snapshots drop constraint snapshots_session_id_fkey;
alter table snapshots
  add constraint snapshots_session_id_fkey foreign key (session_id) references sessions on delete cascade;
alter table snapshots alter column session_id set not null;
alter table snapshots
  drop column kept, drop column blobs, drop column generation, drop column parent_id, drop column left_out,
  drop column files, drop column stored_bytes;
alter table snapshots rename column logical_bytes to size_bytes;
alter table snapshots rename column manifest_sha256 to sha256;
