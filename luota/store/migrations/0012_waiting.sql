-- Who heard of a blind window is found by the window: when its notice was queued changes as the clock is set back.
CREATE INDEX deliveries_of_gaps ON deliveries (workspace_id, json_extract(notice, '$.to')) WHERE type = 'watch.gap';

-- Tests are sent beside all that waits, however much that is.
CREATE INDEX deliveries_tests ON deliveries (type) WHERE type = 'channel.test' AND next_attempt_at IS NOT NULL;
