-- One row a message that a consumer has taken, written in the transaction of its effect: it is there if, and only if, the effect
-- is. Times are ms since the epoch.
CREATE TABLE onceward_inbox (
  consumer     TEXT    NOT NULL,
  message_id   TEXT    NOT NULL,
  processed_at INTEGER NOT NULL,
  PRIMARY KEY (consumer, message_id)
) WITHOUT ROWID;

CREATE INDEX onceward_inbox_processed ON onceward_inbox (consumer, processed_at);

-- One row a message whose handler has failed lately. Parked from `dead_at` on. `history` is a JSON list.
CREATE TABLE onceward_inbox_failures (
  consumer   TEXT    NOT NULL,
  message_id TEXT    NOT NULL,
  attempts   INTEGER NOT NULL,
  failed_at  INTEGER NOT NULL,
  dead_at    INTEGER,
  history    TEXT    NOT NULL,
  PRIMARY KEY (consumer, message_id)
) WITHOUT ROWID;
