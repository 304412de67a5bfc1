-- One row for each item that a dedupe has seen. `digest` is SHA-256 of scope and key, 32 bytes; `mark_id` is the nonce of the
-- call that saw it first, 12 bytes; `expires_at` is in ms since the epoch. What has expired counts as absent.
CREATE TABLE onceward_seen (
  expires_at bigint NOT NULL,
  digest     bytea  PRIMARY KEY,
  mark_id    bytea  NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- What will be purged.
CREATE INDEX onceward_seen_to_purge ON onceward_seen (expires_at);
