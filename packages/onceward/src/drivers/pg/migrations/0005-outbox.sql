-- One row an event that is to be published. Times are ms since the epoch. `seq` is drawn when the event is added: of two events
-- of which one was committed before the other was added, it has the smaller. `lane` is a digest of topic and key, null without a
-- key: what is published in order. `payload` is JSON, or bytes in base64. `state` is ready, leased (a relay has it, until
-- `until`), waiting (for its next attempt, at `until`), dead, or sent (kept until `until`). As long as a row names its lane in
-- `stops`, nothing of that lane is taken: it is leased, or waits, or is dead and blocks. `headers` and `history` are JSON.
CREATE TABLE onceward_outbox (
  seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id         text COLLATE "C" NOT NULL,
  topic      text COLLATE "C" NOT NULL,
  event_key  text COLLATE "C",
  lane       text COLLATE "C",
  format     text COLLATE "C" NOT NULL,
  payload    text COLLATE "C" NOT NULL,
  headers    text COLLATE "C",
  state      text COLLATE "C" NOT NULL,
  stops      text COLLATE "C",
  owner      text COLLATE "C",
  attempts   bigint NOT NULL,
  until      bigint,
  history    text COLLATE "C",
  created_at bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

CREATE UNIQUE INDEX onceward_outbox_by_id ON onceward_outbox (id);
CREATE INDEX onceward_outbox_ready ON onceward_outbox (seq) WHERE state = 'ready';
CREATE INDEX onceward_outbox_dead ON onceward_outbox (seq) WHERE state = 'dead';
CREATE INDEX onceward_outbox_stops ON onceward_outbox (stops) WHERE stops IS NOT NULL;
CREATE INDEX onceward_outbox_until ON onceward_outbox (until) WHERE until IS NOT NULL;

-- Whoever takes events locks this one row first: what another has taken is seen then.
CREATE TABLE onceward_outbox_gate (
  id integer PRIMARY KEY
);
INSERT INTO onceward_outbox_gate (id) VALUES (1);
