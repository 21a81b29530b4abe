-- Agents, messages, deliveries. Times are milliseconds since 1970, UTC. A state is a function of (row, now): what is
-- written here may be behind the clock, so every read computes it (delivery-state.ts).

create table agents (
  id            integer primary key,
  name          text not null unique,
  description   text not null default '',
  registered_at integer,                     -- null: mail waits for this name, or it was removed; the row stays
  last_seen_at  integer,
  sent_count    integer not null default 0   -- messages counted by the quota; numbers its rows
) strict;

create table messages (
  seq         integer primary key autoincrement,
  id          text not null unique,          -- UUIDv7 from the node
  sender      integer not null references agents (id),
  recipient   integer references agents (id),  -- null: ALL
  subject     text not null,
  body        text not null,                 -- once, however many inboxes
  at          integer not null,
  in_reply_to text,
  hops        integer not null,
  traceparent text
) strict;

-- Replies of one agent to one message, for receipts.
create index messages_in_reply_to on messages (in_reply_to, sender) where in_reply_to is not null;

create table deliveries (
  seq             integer primary key autoincrement,  -- place in the inbox: the order of commits
  message         integer not null references messages (seq),
  inbox           integer not null references agents (id),
  state           integer not null default 1, -- 1 UNREAD or LEASED, 3 READ, 4 DEAD
  expire_at       integer,                    -- null: never
  lease           text,                       -- the last lease that held it, running or not
  lease_until     integer not null default 0,
  lease_ms        integer not null default 0, -- how long that lease was given
  attempts        integer not null default 0, -- leases so far
  attempts_before integer not null default 0, -- of these, before the last redrive
  first_pulled_at integer,
  read_at         integer,
  dead_at         integer,
  dead_reason     text
) strict;

-- The unread part of an inbox, small whatever its history. The planner does not take it by itself: name it (INDEXED BY).
create index deliveries_waiting on deliveries (inbox, seq) where state = 1;
create index deliveries_dead on deliveries (inbox, seq) where state = 4;
create unique index deliveries_of_message on deliveries (message, inbox);

-- What a sender's request_id stands for, and the first answer.
create table request_keys (
  sender          integer not null references agents (id),
  request_id      text not null,
  content_hash    blob not null,
  message_id      text not null,
  at              integer not null,
  recipient_count integer not null,
  primary key (sender, request_id)
) strict, without rowid;

-- When each of a sender's newest messages was stored: never more rows than the limit counts.
create table quota (
  sender integer not null references agents (id),
  nth    integer not null,                    -- agents.sent_count at that message
  at     integer not null,
  primary key (sender, nth)
) strict, without rowid;

-- What a taking pull handed out, so that it can be repeated, prolonged and given back.
create table leases (
  id             text primary key,
  inbox          integer not null references agents (id),
  request_id     text,
  kind           text not null,               -- 'lease' or 'read'
  deliveries     text not null,               -- JSON array of deliveries.seq
  max_body_bytes integer,
  repeat_until   integer not null,            -- of a 'read'
  forget_at      integer not null
) strict, without rowid;

create unique index leases_request on leases (inbox, request_id) where request_id is not null;
create index leases_forget on leases (forget_at);
