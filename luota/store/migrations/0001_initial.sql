-- Instants are integer UTC milliseconds (columns …_at), durations milliseconds (…_ms), ids UUIDs as text.

CREATE TABLE instance (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    signing_secret BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    alive_at INTEGER            -- the last instant at which a daemon is known to have listened
) STRICT;

CREATE TABLE blind_windows (
    started_at INTEGER PRIMARY KEY,
    ended_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    told TEXT NOT NULL DEFAULT '[]'   -- the ids of the monitors that its gap notices named
) STRICT;

CREATE TABLE workspaces (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    slug TEXT NOT NULL UNIQUE,
    token_salt TEXT NOT NULL,
    retention_days INTEGER NOT NULL DEFAULT 90,
    retention_count INTEGER NOT NULL DEFAULT 10000,   -- signals kept per monitor
    incident_retention_days INTEGER NOT NULL DEFAULT 730,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'operator', 'viewer')),
    PRIMARY KEY (workspace_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE monitors (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('heartbeat', 'run', 'freshness')),
    schedule TEXT,
    grace_ms INTEGER NOT NULL,
    max_runtime_ms INTEGER NOT NULL,
    freshness_ms INTEGER NOT NULL,
    tolerance INTEGER NOT NULL,
    promise TEXT,
    owner TEXT,
    runbook TEXT,
    environment TEXT,
    tags TEXT NOT NULL DEFAULT '{}',
    token_salt TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    archived_at INTEGER
) STRICT;
CREATE UNIQUE INDEX monitors_by_slug ON monitors (workspace_id, slug) WHERE archived_at IS NULL;

-- One narrow row per monitor, rewritten by every signal: kept apart from the wide definition.
CREATE TABLE monitor_states (
    monitor_id TEXT PRIMARY KEY REFERENCES monitors (id),
    status TEXT NOT NULL,
    since INTEGER NOT NULL,
    reason TEXT NOT NULL,
    basis_at INTEGER NOT NULL,
    set_at INTEGER NOT NULL,
    signal_at INTEGER,
    expected_at INTEGER,
    deadline_at INTEGER,
    late INTEGER NOT NULL,
    failing INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    counted_at INTEGER,
    evidence_at INTEGER,
    unverified INTEGER NOT NULL,
    unverified_by INTEGER,
    incident TEXT,
    incident_id TEXT,
    paused INTEGER NOT NULL,
    pause_until INTEGER,
    pause_until_healthy INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX monitor_states_unverified ON monitor_states (unverified_by) WHERE unverified_by IS NOT NULL;

-- In the order of arrival: clustered by monitor, each ping would write a page of its own, and split it often.
CREATE TABLE heartbeats (
    seq INTEGER PRIMARY KEY,
    monitor_id TEXT NOT NULL REFERENCES monitors (id),
    received_at INTEGER NOT NULL,
    id TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    effective_at INTEGER NOT NULL,
    late INTEGER NOT NULL,
    skewed INTEGER NOT NULL,
    host TEXT,
    deploy_sha TEXT,
    payload TEXT
) STRICT;
CREATE INDEX heartbeats_newest ON heartbeats (monitor_id, received_at);

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    monitor_id TEXT NOT NULL REFERENCES monitors (id),
    external_run_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'success', 'failed', 'stuck', 'unknown')),
    started_at INTEGER NOT NULL,          -- as the client says, else as received
    start_received_at INTEGER NOT NULL,
    effective_at INTEGER NOT NULL,
    limit_at INTEGER NOT NULL,
    occurrence INTEGER,
    counted INTEGER NOT NULL,
    late INTEGER NOT NULL,
    skewed INTEGER NOT NULL,
    finished_at INTEGER,
    finish_received_at INTEGER,
    summary TEXT,
    exit_code INTEGER,
    output TEXT,
    start_payload TEXT,
    close_payload TEXT,
    deploy_sha TEXT,
    host TEXT,
    environment TEXT,
    tags TEXT,
    UNIQUE (monitor_id, external_run_id)
) STRICT;
CREATE INDEX runs_newest ON runs (monitor_id, start_received_at);
CREATE INDEX runs_open ON runs (monitor_id) WHERE state = 'running';

CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    monitor_id TEXT NOT NULL REFERENCES monitors (id),
    kind TEXT NOT NULL CHECK (kind IN ('missed', 'stuck', 'failed', 'stale')),
    state TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'resolved')),
    opened_at INTEGER NOT NULL,
    expected_at INTEGER,
    summary TEXT NOT NULL,
    run_id TEXT,
    evidence_count INTEGER NOT NULL DEFAULT 1,   -- misses and failures, the first included
    evidence_at INTEGER NOT NULL,
    acknowledged_at INTEGER,
    resolved_at INTEGER,
    resolution TEXT,
    monitor_name TEXT NOT NULL,                  -- as they were at opening
    promise TEXT,
    owner TEXT,
    runbook TEXT
) STRICT;
CREATE UNIQUE INDEX incidents_one_open ON incidents (monitor_id) WHERE state <> 'resolved';
CREATE INDEX incidents_newest ON incidents (workspace_id, opened_at);
CREATE INDEX incidents_of_monitor ON incidents (monitor_id, opened_at);

CREATE TABLE incident_events (
    incident_id TEXT NOT NULL REFERENCES incidents (id),
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('opened', 'updated', 'counted', 'acknowledged', 'note', 'resolved')),
    kind TEXT,
    text TEXT NOT NULL,
    actor TEXT,
    PRIMARY KEY (incident_id, recorded_at, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE channels (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('email', 'slack', 'webhook')),
    settings TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX channels_by_name ON channels (workspace_id, name) WHERE removed_at IS NULL;

CREATE TABLE monitor_channels (
    monitor_id TEXT NOT NULL REFERENCES monitors (id),
    channel_id TEXT NOT NULL REFERENCES channels (id),
    PRIMARY KEY (monitor_id, channel_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY,          -- the order of queueing, which is the order of sending per incident
    id TEXT NOT NULL UNIQUE,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    channel_id TEXT NOT NULL REFERENCES channels (id),
    incident_id TEXT REFERENCES incidents (id),
    monitor_id TEXT REFERENCES monitors (id),
    type TEXT NOT NULL,
    notice TEXT NOT NULL,             -- the facts at the time of queueing, as JSON
    state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'failed_retrying', 'failed_terminal', 'cancelled')),
    queued_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER,
    finished_at INTEGER,
    last_error TEXT,
    provider_id TEXT
) STRICT;
CREATE INDEX deliveries_due ON deliveries (channel_id, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX deliveries_of_incident ON deliveries (incident_id, channel_id, seq);

CREATE TABLE attempts (
    delivery_id TEXT NOT NULL REFERENCES deliveries (id),
    number INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    ok INTEGER NOT NULL,
    status INTEGER,
    error TEXT,
    provider_id TEXT,
    PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_entries (
    id TEXT PRIMARY KEY,
    workspace_id TEXT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,              -- who
    source TEXT NOT NULL,             -- from where
    action TEXT NOT NULL,             -- what, such as monitor.create
    target TEXT,
    detail TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX audit_entries_newest ON audit_entries (workspace_id, at);
