-- One row an operation. Times are ms since the epoch on the clock of this server, `fence` is a whole number below 2^53.
-- Everything is compared byte by byte. `detail` and `history` are JSON as ASCII text: what is never searched for.
-- `payload` holds the stored bytes, one after another; `detail` has their lengths. What follows from other columns is
-- null: the `history` of an operation that was claimed once and perhaps completed, the `detail` of a plain value.
-- `expires_at` is null for what is not to be forgotten yet: running and held. `lease_until` is in no index, so that a
-- heartbeat writes one row and no index.
CREATE TABLE IF NOT EXISTS onceward_operations (
  digest       VARCHAR(64)  CHARACTER SET ascii   COLLATE ascii_bin   NOT NULL,
  scope        TEXT         CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `key`        TEXT         CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  state        VARCHAR(8)   CHARACTER SET ascii   COLLATE ascii_bin   NOT NULL,
  fingerprint  VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  on_crash     VARCHAR(8)   CHARACTER SET ascii   COLLATE ascii_bin   NOT NULL,
  holds        TINYINT      NOT NULL,
  owner        VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  fence        BIGINT       NOT NULL,
  attempt      BIGINT       NOT NULL,
  created_at   BIGINT       NOT NULL,
  updated_at   BIGINT       NOT NULL,
  lease_until  BIGINT       NOT NULL,
  retention_ms BIGINT       NOT NULL,
  expires_at   BIGINT       NULL,
  asks         BIGINT       NOT NULL,
  next_ask_at  BIGINT       NOT NULL,
  duplicates   BIGINT       NOT NULL,
  detail       LONGTEXT     CHARACTER SET ascii   COLLATE ascii_bin   NULL,
  history      MEDIUMTEXT   CHARACTER SET ascii   COLLATE ascii_bin   NULL,
  payload      LONGBLOB     NULL,
  PRIMARY KEY (digest),
  -- Listings, newest first.
  KEY onceward_operations_by_creation (created_at, digest),
  -- What will be forgotten; and, as null, the few that are running or held: the sweep, the counts.
  KEY onceward_operations_by_expiry (expires_at, state)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- The decisions on held operations, kept when the operation is gone. `entry` is JSON as ASCII text.
CREATE TABLE IF NOT EXISTS onceward_audit (
  id     BIGINT      NOT NULL AUTO_INCREMENT,
  digest VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  entry  MEDIUMTEXT  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (id),
  KEY onceward_audit_by_digest (digest, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
