CREATE TABLE onceward_audit (
  id     INTEGER PRIMARY KEY,
  at     INTEGER NOT NULL,
  digest TEXT    NOT NULL,
  entry  TEXT    NOT NULL
);

CREATE TABLE onceward_inbox (
  consumer     TEXT    NOT NULL,
  message_id   TEXT    NOT NULL,
  processed_at INTEGER NOT NULL,
  PRIMARY KEY (consumer, message_id)
) WITHOUT ROWID;

CREATE TABLE onceward_inbox_failures (
  consumer   TEXT    NOT NULL,
  message_id TEXT    NOT NULL,
  attempts   INTEGER NOT NULL,
  failed_at  INTEGER NOT NULL,
  dead_at    INTEGER,
  history    TEXT    NOT NULL,
  PRIMARY KEY (consumer, message_id)
) WITHOUT ROWID;

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

CREATE TABLE onceward_outbox (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  id         TEXT    NOT NULL,
  topic      TEXT    NOT NULL,
  event_key  TEXT,
  lane       TEXT,
  format     TEXT    NOT NULL,
  payload    TEXT    NOT NULL,
  headers    TEXT,
  state      TEXT    NOT NULL,
  stops      TEXT,
  owner      TEXT,
  attempts   INTEGER NOT NULL,
  until      INTEGER,
  history    TEXT,
  created_at INTEGER NOT NULL
);

CREATE TABLE onceward_seen (
  digest     BLOB    NOT NULL PRIMARY KEY,
  expires_at INTEGER NOT NULL,
  mark_id    BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE onceward_tasks (
  id             TEXT    PRIMARY KEY,
  task_id        TEXT,
  former_task_id TEXT,
  user_id        TEXT    NOT NULL,
  action_type    TEXT    NOT NULL,
  state          TEXT    NOT NULL,
  on_crash       TEXT    NOT NULL,
  policy         TEXT,
  input          TEXT,
  run_at         INTEGER NOT NULL,
  attempt        INTEGER NOT NULL,
  max_attempts   INTEGER NOT NULL,
  fence          INTEGER NOT NULL,
  owner          TEXT,
  lease_until    INTEGER NOT NULL,
  cancel         TEXT,
  created_at     INTEGER NOT NULL,
  changed_at     INTEGER NOT NULL,
  finished_at    INTEGER,
  result         TEXT,
  problem        TEXT,
  history        TEXT    NOT NULL,
  UNIQUE (task_id, user_id, action_type)
);

CREATE TABLE sqlite_sequence(name,seq);

CREATE INDEX onceward_audit_by_digest ON onceward_audit (digest);

CREATE INDEX onceward_inbox_processed ON onceward_inbox (consumer, processed_at);

CREATE INDEX onceward_operations_open ON onceward_operations (state) WHERE state <> 'done';

CREATE INDEX onceward_operations_to_purge ON onceward_operations (expires_at) WHERE expires_at IS NOT NULL;

CREATE UNIQUE INDEX onceward_outbox_by_id ON onceward_outbox (id);

CREATE INDEX onceward_outbox_dead ON onceward_outbox (seq) WHERE state = 'dead';

CREATE INDEX onceward_outbox_ready ON onceward_outbox (seq) WHERE state = 'ready';

CREATE INDEX onceward_outbox_stops ON onceward_outbox (stops) WHERE stops IS NOT NULL;

CREATE INDEX onceward_outbox_until ON onceward_outbox (until) WHERE until IS NOT NULL;

CREATE INDEX onceward_seen_to_purge ON onceward_seen (expires_at);

CREATE INDEX onceward_tasks_by_state ON onceward_tasks (state, id) WHERE state NOT IN ('pending', 'done');

CREATE INDEX onceward_tasks_due ON onceward_tasks (action_type, run_at, id) WHERE state = 'pending';

CREATE INDEX onceward_tasks_finished ON onceward_tasks (state, finished_at) WHERE finished_at IS NOT NULL;
