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
WHERE rollups.project = $1::VARCHAR AND (rollups.span = $2::SMALLINT AND rollups.start = ANY ($3::INTEGER[]) OR rollups.span = $4::SMALLINT AND rollups.start = ANY ($5::INTEGER[])) AND rollups.key = $6::VARCHAR AND rollups.event_type = $7::VARCHAR AND rollups.event_action = $8::VARCHAR GROUP BY rollups.span;

SELECT rollup_deltas.data
FROM rollup_deltas
WHERE rollup_deltas.project = $1::VARCHAR;

SELECT sized.bucket, sized.key, sized.count, sized.numbers, sized.unnumbered, sized.text_bytes
FROM (SELECT rows.bucket AS bucket, rows.key AS key, rows.count AS count, rows.numbers AS numbers, rows.unnumbered AS unnumbered, coalesce(octet_length(rows.key), $1::INTEGER) AS own_bytes, sum(coalesce(octet_length(rows.key), $1::INTEGER)) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS text_bytes
FROM (SELECT width_bucket(rows.timestamp, $2::TIMESTAMP WITH TIME ZONE[]) AS bucket, rows.key AS key, count(*) AS count, array_agg(DISTINCT people.number) FILTER (WHERE people.number IS NOT NULL) AS numbers, array_agg(DISTINCT rows.actor) FILTER (WHERE people.number IS NULL) AS unnumbered
FROM unnest($3::TIMESTAMP WITH TIME ZONE[], $4::TIMESTAMP WITH TIME ZONE[]) AS pieces(start, "end") JOIN LATERAL (SELECT raw_events.timestamp AS timestamp, raw_events.metadata ->> $5::VARCHAR AS key, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS actor
FROM raw_events
WHERE raw_events.project = $6::VARCHAR AND raw_events.timestamp >= pieces.start AND raw_events.timestamp < pieces."end"
 LIMIT ALL OFFSET $7::INTEGER) AS rows ON true LEFT OUTER JOIN people ON people.project = $8::VARCHAR AND people.actor = rows.actor GROUP BY 1, 2
 LIMIT $9::INTEGER) AS rows) AS sized
WHERE sized.text_bytes - sized.own_bytes < $10::INTEGER;
