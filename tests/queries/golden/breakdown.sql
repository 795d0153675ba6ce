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

SELECT sized.key0, sized.key1, sized.value0, sized.value1, sized.total, sized.text_bytes
FROM (SELECT rows.key0 AS key0, rows.key1 AS key1, rows.value0 AS value0, rows.value1 AS value1, rows.total AS total, coalesce(octet_length(rows.key0), $1::INTEGER) + coalesce(octet_length(rows.key1), $2::INTEGER) AS own_bytes, sum(coalesce(octet_length(rows.key0), $1::INTEGER) + coalesce(octet_length(rows.key1), $2::INTEGER)) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS text_bytes
FROM (SELECT groups.key0 AS key0, groups.key1 AS key1, groups.value0 AS value0, groups.value1 AS value1, count(*) OVER () AS total
FROM (SELECT rows.key0 AS key0, rows.key1 AS key1, count(*) AS value0, avg(rows.operand1) AS value1
FROM (SELECT raw_events.metadata ->> $3::VARCHAR AS key0, raw_events.event_type AS key1, CASE WHEN (jsonb_typeof(raw_events.metadata -> $4::VARCHAR) = $5::VARCHAR) THEN CAST(raw_events.metadata ->> $6::VARCHAR AS NUMERIC) END AS operand1, 1 AS operand0
FROM raw_events
WHERE raw_events.project = $7::VARCHAR AND raw_events.timestamp >= $8::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $9::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.key0, rows.key1) AS groups ORDER BY groups.key1 COLLATE "C" ASC NULLS LAST, (groups.key0 COLLATE "C") NULLS LAST, (groups.key1 COLLATE "C") NULLS LAST
 LIMIT $10::INTEGER) AS rows) AS sized
WHERE sized.text_bytes - sized.own_bytes < $11::INTEGER;
