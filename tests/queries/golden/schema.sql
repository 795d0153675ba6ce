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

SELECT rows.value0, count(*) AS count
FROM (SELECT raw_events.event_type AS value0
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND raw_events.timestamp >= $2::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $3::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.value0 ORDER BY count DESC, rows.value0 COLLATE "C"
 LIMIT $4::INTEGER;

SELECT rows.value0, rows.value1, count(*) AS count
FROM (SELECT raw_events.event_type AS value0, raw_events.event_action AS value1
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND raw_events.timestamp >= $2::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $3::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.value0, rows.value1 ORDER BY count DESC, rows.value0 COLLATE "C", rows.value1 COLLATE "C"
 LIMIT $4::INTEGER;

SELECT sized.value0, sized.count, sized.text_bytes
FROM (SELECT rows.value0 AS value0, rows.count AS count, coalesce(octet_length(rows.value0), $1::INTEGER) AS own_bytes, sum(coalesce(octet_length(rows.value0), $1::INTEGER)) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS text_bytes
FROM (SELECT rows.value0 AS value0, count(*) AS count
FROM (SELECT jsonb_object_keys(raw_events.metadata) AS value0
FROM raw_events
WHERE raw_events.project = $2::VARCHAR AND raw_events.timestamp >= $3::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $4::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.value0 ORDER BY count DESC, rows.value0 COLLATE "C"
 LIMIT $5::INTEGER) AS rows) AS sized
WHERE sized.text_bytes - sized.own_bytes < $6::INTEGER;
