-- One row an operation. A later creation has a greater `id`: rows are created one after the other under the write lock,
-- and a record that begins anew gets a new row. Times are ms since the epoch, `fence` is a whole number below 2^53.
-- `payload` holds the stored bytes: of a plain value, which has `value_bytes` of them, or one after another as `body` says.
-- `body` is JSON: what few records have. Without a history in it, the history is that of one claim, and its completion.
CREATE TABLE onceward_operations (
  id           INTEGER PRIMARY KEY,
  digest       TEXT    NOT NULL UNIQUE,
  scope        TEXT    NOT NULL,
  key          TEXT    NOT NULL,
  state        TEXT    NOT NULL,
  fence        INTEGER NOT NULL,
  attempt      INTEGER NOT NULL,
  on_crash     TEXT    NOT NULL,
  fingerprint  TEXT,
  owner        TEXT,
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  lease_until  INTEGER NOT NULL,
  retention_ms INTEGER NOT NULL,
  expires_at   INTEGER, -- none while held, and while a lapse would make it held
  value_bytes  INTEGER,
  body         TEXT,
  payload      BLOB
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
