-- One row an operation. Text is compared byte by byte, times are ms since the epoch, `fence` is a whole number below 2^53.
-- `detail` and `history` are JSON as text: what is never searched for. `payload` holds the stored bytes one after
-- another; `detail` has their lengths. A page keeps room, so that the heartbeat (`lease_until`, in no index) is a HOT update.
CREATE TABLE onceward_operations (
  digest       text COLLATE "C" PRIMARY KEY,
  scope        text COLLATE "C" NOT NULL,
  key          text COLLATE "C" NOT NULL,
  state        text COLLATE "C" NOT NULL,
  fingerprint  text COLLATE "C",
  on_crash     text COLLATE "C" NOT NULL,
  holds        boolean NOT NULL,
  owner        text COLLATE "C",
  fence        bigint  NOT NULL,
  attempt      integer NOT NULL,
  created_at   bigint  NOT NULL,
  updated_at   bigint  NOT NULL,
  lease_until  bigint  NOT NULL,
  retention_ms bigint  NOT NULL,
  expires_at   bigint,
  asks         integer NOT NULL,
  next_ask_at  bigint  NOT NULL,
  duplicates   bigint  NOT NULL,
  detail       text COLLATE "C",
  history      text COLLATE "C" NOT NULL,
  payload      bytea
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- Listings, newest first.
CREATE INDEX onceward_operations_by_age ON onceward_operations (created_at);

-- The few that are not done: listings by state, the counts, and the sweep.
CREATE INDEX onceward_operations_open ON onceward_operations (state, created_at) WHERE state <> 'done';

-- What will be forgotten.
CREATE INDEX onceward_operations_to_purge ON onceward_operations (expires_at) WHERE expires_at IS NOT NULL;

-- The decisions on held operations, kept when the operation is gone. `entry` is JSON as text.
CREATE TABLE onceward_audit (
  id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at     bigint NOT NULL,
  digest text COLLATE "C" NOT NULL,
  entry  text COLLATE "C" NOT NULL
);

CREATE INDEX onceward_audit_by_digest ON onceward_audit (digest);
