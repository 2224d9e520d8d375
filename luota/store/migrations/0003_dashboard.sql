-- People sign in; monitors are drilled.

CREATE TABLE one_time_links (
    token_hash BLOB PRIMARY KEY,
    purpose TEXT NOT NULL CHECK (purpose IN ('setup', 'password')),  -- the first owner, or a member's password
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,             -- none for the set-up
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_of_user ON sessions (user_id);

-- A drill runs on a twin, which is a monitor like any other but for this label.
ALTER TABLE monitors ADD COLUMN drill_of TEXT REFERENCES monitors (id);
-- So is the dead route that a twin alone is told by.
ALTER TABLE channels ADD COLUMN drill_of TEXT REFERENCES monitors (id);

CREATE TABLE drills (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    monitor_id TEXT NOT NULL REFERENCES monitors (id),
    twin_id TEXT NOT NULL REFERENCES monitors (id),
    kind TEXT NOT NULL CHECK (kind IN ('missed', 'failed', 'stale', 'dead_route')),
    state TEXT NOT NULL CHECK (state IN ('running', 'proven', 'not_proven')),
    steps TEXT NOT NULL,              -- what was proven so far, as JSON
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    actor TEXT NOT NULL
) STRICT;
CREATE INDEX drills_newest ON drills (monitor_id, started_at);
CREATE INDEX drills_running ON drills (monitor_id) WHERE state = 'running';

-- The bars of many monitors at once show when each was paused.
CREATE INDEX audit_entries_of_pauses ON audit_entries (target, at) WHERE action IN ('monitor.pause', 'monitor.resume');
-- A packet tells of the edits since its incident opened.
CREATE INDEX audit_entries_of_edits ON audit_entries (target, at) WHERE action = 'monitor.edit';
