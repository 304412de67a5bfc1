-- One row a message that a consumer has taken, written in the transaction of its effect: it is there if, and only if, the effect
-- is. What may be any text is UTF-8 as bytes, so that it is compared byte by byte, without padding. Times are ms since the
-- epoch. `batch` is drawn anew for each batch, and tells which rows of it are its own.
CREATE TABLE IF NOT EXISTS onceward_inbox (
  consumer     VARBINARY(255)  NOT NULL,
  message_id   VARBINARY(1024) NOT NULL,
  processed_at BIGINT          NOT NULL,
  batch        VARCHAR(64)     CHARACTER SET ascii COLLATE ascii_bin NULL,
  PRIMARY KEY (consumer, message_id),
  KEY onceward_inbox_processed (consumer, processed_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- One row a message whose handler has failed lately. Parked from `dead_at` on. `history` is a JSON list as ASCII text.
CREATE TABLE IF NOT EXISTS onceward_inbox_failures (
  consumer   VARBINARY(255)  NOT NULL,
  message_id VARBINARY(1024) NOT NULL,
  attempts   INT             NOT NULL,
  failed_at  BIGINT          NOT NULL,
  dead_at    BIGINT          NULL,
  history    MEDIUMTEXT      CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (consumer, message_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
