SELECT (SELECT rollup_since.start
FROM rollup_since
WHERE rollup_since.project IN (__[POSTCOMPILE_project_1]) ORDER BY rollup_since.project DESC
 LIMIT $1::INTEGER) AS since, array((SELECT DISTINCT rollup_strays.start
FROM rollup_strays
WHERE rollup_strays.project = $2::VARCHAR AND rollup_strays.writer != $3::BIGINT)) AS strays, array((SELECT DISTINCT rollup_strays.start
FROM rollup_strays
WHERE rollup_strays.project = $2::VARCHAR AND rollup_strays.writer = $4::BIGINT)) AS nameless, (SELECT coalesce(sum(rollup_deltas.events), $5::INTEGER) AS coalesce_1
FROM rollup_deltas
WHERE rollup_deltas.project = $6::VARCHAR) AS waiting, (SELECT min(rollups.start) AS min_1
FROM rollups
WHERE rollups.project = $7::VARCHAR AND rollups.span = $8::SMALLINT AND rollups.key = $9::VARCHAR AND rollups.event_type = $10::VARCHAR AND rollups.event_action = $11::VARCHAR) AS first, (SELECT max(rollups.start) AS max_1
FROM rollups
WHERE rollups.project = $7::VARCHAR AND rollups.span = $8::SMALLINT AND rollups.key = $9::VARCHAR AND rollups.event_type = $10::VARCHAR AND rollups.event_action = $11::VARCHAR) AS last;

SELECT rows.slot, rows.bucket, count(rows.operand) AS value
FROM (SELECT DISTINCT 1 AS slot, width_bucket(raw_events.timestamp, $1::TIMESTAMP WITH TIME ZONE[]) AS bucket, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS operand
FROM raw_events
WHERE raw_events.project = $2::VARCHAR AND (raw_events.user_id ~ $3::VARCHAR) AND raw_events.timestamp >= $4::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $5::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.slot, rows.bucket;

SELECT rows.slot, rows.bucket, count(rows.operand) AS value
FROM (SELECT DISTINCT 1 AS slot, width_bucket(raw_events.timestamp, $1::TIMESTAMP WITH TIME ZONE[]) AS bucket, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS operand
FROM raw_events
WHERE raw_events.project = $2::VARCHAR AND (raw_events.user_id ~ $3::VARCHAR) AND raw_events.timestamp >= $4::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $5::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.slot, rows.bucket;

SELECT rows.slot, rows.bucket, count(rows.operand) AS value
FROM (SELECT DISTINCT 1 AS slot, width_bucket(raw_events.timestamp, $1::TIMESTAMP WITH TIME ZONE[]) AS bucket, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS operand
FROM raw_events
WHERE raw_events.project = $2::VARCHAR AND (raw_events.user_id ~ $3::VARCHAR) AND raw_events.timestamp >= $4::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $5::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.slot, rows.bucket;

SELECT rows.slot, rows.bucket, count(rows.operand) AS value
FROM (SELECT DISTINCT 1 AS slot, width_bucket(raw_events.timestamp, $1::TIMESTAMP WITH TIME ZONE[]) AS bucket, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS operand
FROM raw_events
WHERE raw_events.project = $2::VARCHAR AND (raw_events.user_id ~ $3::VARCHAR) AND raw_events.timestamp >= $4::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $5::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.slot, rows.bucket;
