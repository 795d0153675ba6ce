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

SELECT sized.key0, sized.value0, sized.value1, sized.total, sized.text_bytes
FROM (SELECT rows.key0 AS key0, rows.value0 AS value0, rows.value1 AS value1, rows.total AS total, coalesce(octet_length(rows.key0), $1::INTEGER) AS own_bytes, sum(coalesce(octet_length(rows.key0), $1::INTEGER)) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS text_bytes
FROM (SELECT groups.key0 AS key0, groups.value0 AS value0, groups.value1 AS value1, count(*) OVER () AS total
FROM (SELECT parts.key0 AS key0, max(parts.value0) AS value0, max(parts.value1) AS value1
FROM (SELECT rows.key0 AS key0, CAST(NULL AS NUMERIC) AS value0, percentile_cont($2::FLOAT) WITHIN GROUP (ORDER BY CAST(CASE WHEN (abs(rows.operand1) < 1e-300) THEN $3::INTEGER ELSE rows.operand1 END AS DOUBLE PRECISION)) AS value1
FROM (SELECT raw_events.metadata ->> $4::VARCHAR AS key0, CASE WHEN (jsonb_typeof(raw_events.metadata -> $5::VARCHAR) = $6::VARCHAR) THEN CAST(raw_events.metadata ->> $7::VARCHAR AS NUMERIC) END AS operand1
FROM raw_events
WHERE raw_events.project = $8::VARCHAR AND raw_events.timestamp >= $9::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $10::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.key0 UNION ALL SELECT rows.key0 AS key0, count(rows.operand0) AS value0, CAST(NULL AS NUMERIC) AS value1
FROM (SELECT DISTINCT raw_events.metadata ->> $11::VARCHAR AS key0, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS operand0
FROM raw_events
WHERE raw_events.project = $12::VARCHAR AND raw_events.timestamp >= $13::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $14::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.key0) AS parts GROUP BY parts.key0) AS groups ORDER BY groups.value0 DESC NULLS LAST, (groups.key0 COLLATE "C") NULLS LAST
 LIMIT $15::INTEGER) AS rows) AS sized
WHERE sized.text_bytes - sized.own_bytes < $16::INTEGER;
