-- Foreign keys are off while migrations run, so that a table can be rebuilt.

-- The types of channels are known to the program alone: luota.core.spec.channels.
CREATE TABLE channels_2 (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    settings TEXT NOT NULL,           -- holds secrets
    rules TEXT NOT NULL DEFAULT '{}', -- which notices it wants
    created_at INTEGER NOT NULL,
    proven_at INTEGER,                -- the first delivery that succeeded; none: nobody knows that it works
    failed_at INTEGER,                -- the first notice given up since the last one delivered
    removed_at INTEGER
) STRICT;
INSERT INTO channels_2 (id, workspace_id, name, type, settings, created_at, proven_at, removed_at)
SELECT id, workspace_id, name, type, settings, created_at,
    (SELECT min(d.finished_at) FROM deliveries d WHERE d.channel_id = channels.id AND d.state = 'delivered'),
    removed_at
FROM channels;
DROP TABLE channels;
ALTER TABLE channels_2 RENAME TO channels;
CREATE UNIQUE INDEX channels_by_name ON channels (workspace_id, name) WHERE removed_at IS NULL;

ALTER TABLE deliveries ADD COLUMN told_by TEXT;  -- the id of the digest that tells it
CREATE INDEX deliveries_of_channel ON deliveries (channel_id, queued_at);

ALTER TABLE monitors ADD COLUMN reminder_ms INTEGER NOT NULL DEFAULT 0;  -- 0: nobody is reminded
ALTER TABLE incidents ADD COLUMN reminded_at INTEGER;
CREATE INDEX incidents_open ON incidents (monitor_id) WHERE state = 'open';
