-- One row for each item that a dedupe has seen. `digest` is SHA-256 of scope and key; `mark_id` is the nonce of the call that
-- saw it first; `expires_at` is in ms since the epoch. What has expired counts as absent.
CREATE TABLE IF NOT EXISTS onceward_seen (
  digest     BINARY(32) NOT NULL,
  expires_at BIGINT     NOT NULL,
  mark_id    BINARY(12) NOT NULL,
  PRIMARY KEY (digest),
  -- What will be purged.
  KEY onceward_seen_to_purge (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
