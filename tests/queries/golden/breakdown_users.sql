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

SELECT groups.key0, groups.value0, groups.value1, count(*) OVER () AS total
FROM (SELECT parts.key0 AS key0, max(parts.value0) AS value0, max(parts.value1) AS value1
FROM (SELECT rows.key0 AS key0, CAST(NULL AS NUMERIC) AS value0, percentile_cont($1::FLOAT) WITHIN GROUP (ORDER BY CAST(CASE WHEN (abs(rows.operand1) < 1e-300) THEN $2::INTEGER ELSE rows.operand1 END AS DOUBLE PRECISION)) AS value1
FROM (SELECT raw_events.metadata ->> $3::VARCHAR AS key0, CASE WHEN (jsonb_typeof(raw_events.metadata -> $4::VARCHAR) = $5::VARCHAR) THEN CAST(raw_events.metadata ->> $6::VARCHAR AS NUMERIC) END AS operand1
FROM raw_events
WHERE raw_events.project = $7::VARCHAR AND raw_events.timestamp >= $8::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $9::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.key0 UNION ALL SELECT rows.key0 AS key0, count(rows.operand0) AS value0, CAST(NULL AS NUMERIC) AS value1
FROM (SELECT DISTINCT raw_events.metadata ->> $10::VARCHAR AS key0, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS operand0
FROM raw_events
WHERE raw_events.project = $11::VARCHAR AND raw_events.timestamp >= $12::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $13::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.key0) AS parts GROUP BY parts.key0) AS groups ORDER BY groups.value0 DESC NULLS LAST, (groups.key0 COLLATE "C") NULLS LAST
 LIMIT $14::INTEGER;
