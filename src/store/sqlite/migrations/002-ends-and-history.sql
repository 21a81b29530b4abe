-- Dead letters that are swept and bounced, retention, the inbox cap, history and search.

alter table messages add column bounced integer not null default 0;  -- 1: its sender has the letter
alter table messages add column reached integer not null default 1;  -- 0: a broadcast that reached nobody

-- UNREAD and LEASED deliveries, and those due to be DEAD: what the inbox cap looks at first.
alter table agents add column waiting integer not null default 0;
update agents set waiting =
  (select count(*) from deliveries d indexed by deliveries_waiting where d.inbox = agents.id and d.state = 1);

create trigger delivery_added after insert on deliveries when new.state = 1 begin
  update agents set waiting = waiting + 1 where id = new.inbox;
end;
create trigger delivery_ended after update of state on deliveries when old.state = 1 and new.state <> 1 begin
  update agents set waiting = waiting - 1 where id = new.inbox;
end;
create trigger delivery_removed after delete on deliveries when old.state = 1 begin
  update agents set waiting = waiting - 1 where id = old.inbox;
end;

-- What may be due to be DEAD: few rows, whatever waits.
create index deliveries_tried on deliveries (attempts - attempts_before, lease_until) where state = 1 and attempts > 0;
create index deliveries_expiring on deliveries (expire_at) where state = 1 and expire_at is not null;

-- What retention takes: the oldest ends first.
create index deliveries_ended on deliveries (coalesce(read_at, dead_at)) where state <> 1;
create index messages_unreached on messages (at) where reached = 0;
create index request_keys_at on request_keys (at);

-- History, newest first.
create index deliveries_history on deliveries (inbox, seq);
create index messages_sent on messages (sender, seq);

-- Words of search-words.ts, and who sent and received it. Filled a moment after the Send; see progress 'searchable'.
create virtual table message_words using fts5 (
  words, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
);
create table progress (
  name  text primary key,
  value integer not null
) strict, without rowid;
insert into progress (name, value) values ('searchable', 0);
