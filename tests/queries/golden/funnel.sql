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

SELECT string_agg(chr(rows.mark), $1::VARCHAR ORDER BY rows.timestamp, rows.id) AS marks, string_agg(timestamptz_send(rows.timestamp), $2::BYTEA ORDER BY rows.timestamp, rows.id) AS times
FROM (SELECT $3::INTEGER + CASE WHEN (raw_events.event_type = $4::VARCHAR) THEN $5::INTEGER ELSE $6::INTEGER END + CASE WHEN (raw_events.event_type = $7::VARCHAR AND raw_events.event_action = $8::VARCHAR OR raw_events.event_action = $9::VARCHAR) THEN $10::INTEGER ELSE $11::INTEGER END AS mark, raw_events.timestamp AS timestamp, raw_events.id AS id, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS unit
FROM raw_events
WHERE raw_events.project = $12::VARCHAR AND (raw_events.metadata ->> $13::VARCHAR) = ANY ($14::TEXT[]) AND raw_events.timestamp >= $15::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $16::TIMESTAMP WITH TIME ZONE AND (raw_events.event_type = $17::VARCHAR OR raw_events.event_type = $18::VARCHAR AND raw_events.event_action = $19::VARCHAR OR raw_events.event_action = $20::VARCHAR)) AS rows GROUP BY rows.unit;
