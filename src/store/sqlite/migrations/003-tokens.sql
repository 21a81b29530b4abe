-- Agent tokens and admin tokens, by hash. A revoked one stays, so that lists and logs can still name it.

create table tokens (
  id         text primary key,
  hash       blob not null unique,
  agent      text,                    -- null: admin
  created_at integer not null,
  revoked_at integer                  -- null: in force
) strict, without rowid;
