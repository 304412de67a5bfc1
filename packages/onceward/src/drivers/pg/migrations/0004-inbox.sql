-- One row a message that a consumer has taken, written in the transaction of its effect: it is there if, and only if, the effect
-- is. Text is compared byte by byte, times are ms since the epoch.
CREATE TABLE onceward_inbox (
  consumer     text COLLATE "C" NOT NULL,
  message_id   text COLLATE "C" NOT NULL,
  processed_at bigint NOT NULL,
  PRIMARY KEY (consumer, message_id)
);

CREATE INDEX onceward_inbox_processed ON onceward_inbox (consumer, processed_at);

-- One row a message whose handler has failed lately. Parked from `dead_at` on. `history` is a JSON list as text.
CREATE TABLE onceward_inbox_failures (
  consumer   text COLLATE "C" NOT NULL,
  message_id text COLLATE "C" NOT NULL,
  attempts   integer NOT NULL,
  failed_at  bigint NOT NULL,
  dead_at    bigint,
  history    text COLLATE "C" NOT NULL,
  PRIMARY KEY (consumer, message_id)
);
