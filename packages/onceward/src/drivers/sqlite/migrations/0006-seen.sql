-- One row for each item that a dedupe has seen. `digest` is SHA-256 of scope and key, 32 bytes; `mark_id` is the nonce of the
-- call that saw it first, 12 bytes; `expires_at` is in ms since the epoch. What has expired counts as absent.
CREATE TABLE onceward_seen (
  digest     BLOB    NOT NULL PRIMARY KEY,
  expires_at INTEGER NOT NULL,
  mark_id    BLOB    NOT NULL
) WITHOUT ROWID;

-- What will be purged.
CREATE INDEX onceward_seen_to_purge ON onceward_seen (expires_at);
