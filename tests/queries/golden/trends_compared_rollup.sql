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

SELECT rollups.span, array_agg(rollups.start ORDER BY rollups.start, rollups.part) AS array_agg_1, array_agg(rollups.part ORDER BY rollups.start, rollups.part) AS array_agg_2
FROM rollups
WHERE rollups.project = $1::VARCHAR AND rollups.span = $2::SMALLINT AND rollups.start = ANY ($3::INTEGER[]) AND rollups.key = $4::VARCHAR AND rollups.event_type = $5::VARCHAR AND rollups.event_action = $6::VARCHAR GROUP BY rollups.span;

SELECT rollups.span, rollups.start, rollups.part, rollups.key, rollups.event_type, rollups.event_action, rollups.counts, CASE WHEN (rollups.key = $1::VARCHAR) THEN rollups.people END AS people
FROM rollups
WHERE rollups.project = $2::VARCHAR AND rollups.span = $3::SMALLINT AND rollups.start = ANY ($4::INTEGER[]) AND rollups.key = ANY (ARRAY[$5::VARCHAR]) AND rollups.event_type = $6::VARCHAR AND rollups.event_action = $7::VARCHAR
 LIMIT $8::INTEGER;

SELECT rollup_deltas.data
FROM rollup_deltas
WHERE rollup_deltas.project = $1::VARCHAR;
