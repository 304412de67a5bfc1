CREATE TABLE onceward_audit (
  id     INTEGER PRIMARY KEY,
  at     INTEGER NOT NULL,
  digest TEXT    NOT NULL,
  entry  TEXT    NOT NULL
);

CREATE TABLE onceward_inbox (
  id TEXT PRIMARY KEY
);

CREATE TABLE onceward_locks (
  key        TEXT    PRIMARY KEY,
  token      TEXT,
  fence      INTEGER NOT NULL,
  fences     INTEGER NOT NULL,
  until      INTEGER NOT NULL,
  owner      TEXT,
  meta       TEXT,
  state      TEXT,
  busy_until INTEGER NOT NULL,
  keep_until INTEGER NOT NULL,
  touched_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE onceward_migrations (
  number     INTEGER PRIMARY KEY,
  name       TEXT    NOT NULL,
  applied_at INTEGER NOT NULL
);

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

CREATE TABLE onceward_outbox (
  id TEXT PRIMARY KEY
);

CREATE TABLE onceward_seen (
  id TEXT PRIMARY KEY
);

CREATE TABLE onceward_tasks (
  id TEXT PRIMARY KEY
);

CREATE INDEX onceward_audit_by_digest ON onceward_audit (digest);

CREATE INDEX onceward_operations_open ON onceward_operations (state) WHERE state <> 'done';

CREATE INDEX onceward_operations_to_purge ON onceward_operations (expires_at) WHERE expires_at IS NOT NULL;
