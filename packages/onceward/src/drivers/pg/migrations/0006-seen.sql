CREATE TABLE onceward_seen (
  id text PRIMARY KEY
);
