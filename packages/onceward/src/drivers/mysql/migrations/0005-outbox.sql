-- One row an event that is to be published. Times are ms since the epoch. `seq` is drawn when the event is added: of two events
-- of which one was committed before the other was added, it has the smaller. `lane` is a digest of topic and key, null without a
-- key: what is published in order. `payload` is JSON as ASCII text, or bytes in base64. `state` is ready, leased (a relay has it,
-- until `until`), waiting (for its next attempt, at `until`), dead, or sent (kept until `until`). As long as a row names its lane
-- in `stops`, nothing of that lane is taken: it is leased, or waits, or is dead and blocks. `headers` and `history` are JSON as
-- ASCII text.
CREATE TABLE IF NOT EXISTS onceward_outbox (
  seq        BIGINT        NOT NULL AUTO_INCREMENT,
  id         VARCHAR(100)  CHARACTER SET ascii   COLLATE ascii_bin   NOT NULL,
  topic      VARCHAR(255)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  event_key  VARCHAR(1024) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  lane       VARCHAR(22)   CHARACTER SET ascii   COLLATE ascii_bin   NULL,
  format     VARCHAR(8)    CHARACTER SET ascii   COLLATE ascii_bin   NOT NULL,
  payload    LONGTEXT      CHARACTER SET ascii   COLLATE ascii_bin   NOT NULL,
  headers    MEDIUMTEXT    CHARACTER SET ascii   COLLATE ascii_bin   NULL,
  state      VARCHAR(8)    CHARACTER SET ascii   COLLATE ascii_bin   NOT NULL,
  stops      VARCHAR(22)   CHARACTER SET ascii   COLLATE ascii_bin   NULL,
  owner      VARCHAR(64)   CHARACTER SET ascii   COLLATE ascii_bin   NULL,
  attempts   BIGINT        NOT NULL,
  until      BIGINT        NULL,
  history    MEDIUMTEXT    CHARACTER SET ascii   COLLATE ascii_bin   NULL,
  created_at BIGINT        NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE KEY onceward_outbox_by_id (id),
  KEY onceward_outbox_by_state (state, seq),
  KEY onceward_outbox_stops (stops),
  KEY onceward_outbox_until (until)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- Whoever takes events locks this one row first: what another has taken is seen then.
CREATE TABLE IF NOT EXISTS onceward_outbox_gate (
  id INT NOT NULL PRIMARY KEY
) ENGINE = InnoDB;
INSERT IGNORE INTO onceward_outbox_gate (id) VALUES (1);
