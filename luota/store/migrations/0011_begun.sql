-- Since when an attempt is under way, or was when Luota ended: of that one nobody knows whether it arrived.
ALTER TABLE deliveries ADD COLUMN begun_at INTEGER;
UPDATE deliveries SET begun_at = max(queued_at, next_attempt_at)
WHERE next_attempt_at IS NOT NULL AND json_extract(notice, '$.begun') > attempts;
ALTER TABLE attempts ADD COLUMN cut_off INTEGER NOT NULL DEFAULT 0;
CREATE INDEX deliveries_begun ON deliveries (begun_at) WHERE begun_at IS NOT NULL;

-- Why a channel is a dead route, and when another one was told of that: both outlive the deliveries that say so.
ALTER TABLE channels ADD COLUMN failed_error TEXT;
ALTER TABLE channels ADD COLUMN announced_at INTEGER;
UPDATE channels SET
    failed_error = (SELECT d.last_error FROM deliveries d
        WHERE d.channel_id = channels.id AND d.state = 'failed_terminal' AND d.type <> 'channel.test'
        ORDER BY d.finished_at DESC LIMIT 1),
    announced_at = (SELECT min(d.queued_at) FROM deliveries d
        WHERE d.type = 'channel.failed' AND d.queued_at >= channels.failed_at
        AND d.state = 'delivered' AND json_extract(d.notice, '$.channel.id') = channels.id)
WHERE failed_at IS NOT NULL;
-- An announcement that is still on its way may come to nothing: hence it counts by the failure that it announces.
UPDATE deliveries AS d SET notice = json_set(d.notice, '$.failing', c.failed_at) FROM channels c
WHERE d.type = 'channel.failed' AND d.next_attempt_at IS NOT NULL AND d.queued_at >= c.failed_at
AND c.id = json_extract(d.notice, '$.channel.id');
CREATE INDEX deliveries_announcing ON deliveries (type)
WHERE type = 'channel.failed' AND next_attempt_at IS NOT NULL;
