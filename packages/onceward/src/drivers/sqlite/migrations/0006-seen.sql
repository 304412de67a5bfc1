CREATE TABLE onceward_seen (
  id TEXT PRIMARY KEY
);
