-- One row an event that is to be published. Times are ms since the epoch. `seq` is drawn when the event is added. `lane` is a
-- digest of topic and key, null without a key: what is published in order. `payload` is JSON, or bytes in base64. `state` is
-- ready, leased (a relay has it, until `until`), waiting (for its next attempt, at `until`), dead, or sent (kept until `until`).
-- As long as a row names its lane in `stops`, nothing of that lane is taken: it is leased, or waits, or is dead and blocks.
-- `headers` and `history` are JSON.
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

CREATE UNIQUE INDEX onceward_outbox_by_id ON onceward_outbox (id);
CREATE INDEX onceward_outbox_ready ON onceward_outbox (seq) WHERE state = 'ready';
CREATE INDEX onceward_outbox_dead ON onceward_outbox (seq) WHERE state = 'dead';
CREATE INDEX onceward_outbox_stops ON onceward_outbox (stops) WHERE stops IS NOT NULL;
CREATE INDEX onceward_outbox_until ON onceward_outbox (until) WHERE until IS NOT NULL;
