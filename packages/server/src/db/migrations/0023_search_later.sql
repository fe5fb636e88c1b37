-- Up Migration
-- Taking a text apart into trigrams costs more than all the rest of a small commit. So the text of a file that was written
-- just now waits in a part of the table that has no such index, where a search looks at every row; what waits there is
-- put into the index soon, several changes of one file at once.
alter table file_texts rename to file_texts_settled;
alter table file_texts_settled
  drop constraint file_texts_entry_id_fkey,
  add column fresh boolean not null default false check (not fresh);
create table file_texts (
  entry_id bigint not null references file_entries on delete cascade,
  organization_id text not null,
  body text not null,
  fresh boolean not null default false
) partition by list (fresh);
create table file_texts_fresh (
  entry_id bigint primary key,
  organization_id text not null,
  body text not null,
  fresh boolean not null default true check (fresh)
);
do $$ begin
  alter table file_texts_fresh alter column body set compression lz4;
exception when feature_not_supported then null;
end $$;
alter table file_texts attach partition file_texts_settled for values in (false);
alter table file_texts attach partition file_texts_fresh for values in (true);
create index file_texts_fresh_organization on file_texts_fresh (organization_id);

-- In this order: whoever is putting the same text into the index is waited for by the first statement, and what he has
-- done is seen by the second.
create or replace function file_keep_text(entry bigint, organization text, new_body text, later boolean) returns void
language plpgsql as $$
begin
  if new_body is not null and later then
    insert into file_texts_fresh (entry_id, organization_id, body) values (entry, organization, new_body)
      on conflict (entry_id) do update set body = excluded.body;
    delete from file_texts_settled where entry_id = entry;
    return;
  end if;
  delete from file_texts_fresh where entry_id = entry;
  if new_body is null then
    delete from file_texts_settled where entry_id = entry;
  else
    insert into file_texts_settled (entry_id, organization_id, body) values (entry, organization, new_body)
      on conflict (entry_id) do update set body = excluded.body;
  end if;
end $$;

-- Puts up to `most` waiting texts into the index; how many it was. Files that are being changed are left for later.
create function file_settle_texts(most integer) returns integer language plpgsql as $$
declare
  settled integer;
begin
  with taken as (
    select waiting.entry_id from file_texts_fresh waiting join file_entries on file_entries.id = waiting.entry_id
    limit most for update of waiting skip locked for key share of file_entries skip locked
  ), moved as (
    delete from file_texts_fresh using taken where file_texts_fresh.entry_id = taken.entry_id
      returning file_texts_fresh.entry_id, organization_id, body
  )
  insert into file_texts_settled (entry_id, organization_id, body) select entry_id, organization_id, body from moved
    on conflict (entry_id) do update set body = excluded.body;
  get diagnostics settled = row_count;
  return settled;
end $$;

-- Down Migration
drop function file_settle_texts;
insert into file_texts_settled (entry_id, organization_id, body) select entry_id, organization_id, body from file_texts_fresh
  on conflict (entry_id) do update set body = excluded.body;
alter table file_texts detach partition file_texts_settled;
drop table file_texts;
alter table file_texts_settled rename to file_texts;
alter table file_texts drop constraint if exists file_texts_entry_id_fkey, drop column fresh;
alter table file_texts add constraint file_texts_entry_id_fkey foreign key (entry_id) references file_entries on delete cascade;
create or replace function file_keep_text(entry bigint, organization text, new_body text, later boolean) returns void
language plpgsql as $$
begin
  if new_body is null then
    delete from file_texts where entry_id = entry;
  else
    insert into file_texts (entry_id, organization_id, body) values (entry, organization, new_body)
      on conflict (entry_id) do update set body = excluded.body;
  end if;
end $$;
