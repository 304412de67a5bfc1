-- One row an operation. A later creation has a greater `id`: rows are created one after the other under the write lock,
-- and a record that begins anew gets a new row. Times are ms since the epoch, `fence` is a whole number below 2^53.
-- `body` is JSON: what is never searched for. `payload` holds the stored bytes, one after another; `body` has their lengths.
CREATE TABLE onceward_operations (
  id          INTEGER PRIMARY KEY,
  digest      TEXT    NOT NULL UNIQUE,
  scope       TEXT    NOT NULL,
  key         TEXT    NOT NULL,
  state       TEXT    NOT NULL,
  fence       INTEGER NOT NULL,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  lease_until INTEGER NOT NULL,
  sweep_at    INTEGER, -- when a lapse makes it held; only while running
  expires_at  INTEGER,
  body        TEXT    NOT NULL,
  payload     BLOB
);

-- The few that are not done: listings by state, the counts, and the sweep.
CREATE INDEX onceward_operations_open ON onceward_operations (state) WHERE state <> 'done';

-- What will be forgotten.
CREATE INDEX onceward_operations_to_purge ON onceward_operations (expires_at) WHERE expires_at IS NOT NULL;

-- The decisions on held operations, kept when the operation is gone. `entry` is JSON.
CREATE TABLE onceward_audit (
  id     INTEGER PRIMARY KEY,
  at     INTEGER NOT NULL,
  digest TEXT    NOT NULL,
  entry  TEXT    NOT NULL
);

CREATE INDEX onceward_audit_by_digest ON onceward_audit (digest);
