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

SELECT sized.key, sized.value, sized.text_bytes
FROM (SELECT rows.key AS key, rows.value AS value, coalesce(octet_length(rows.key), $1::INTEGER) AS own_bytes, sum(coalesce(octet_length(rows.key), $1::INTEGER)) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS text_bytes
FROM (SELECT rows.key AS key, count(rows.operand) AS value
FROM (SELECT DISTINCT members.key AS key, members.operand AS operand
FROM (SELECT raw_events.metadata ->> $2::VARCHAR AS key, raw_events.session_id COLLATE "C" AS operand
FROM raw_events
WHERE raw_events.project = $3::VARCHAR AND raw_events.timestamp >= $4::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $5::TIMESTAMP WITH TIME ZONE AND raw_events.session_id NOT LIKE $6::VARCHAR UNION ALL SELECT starts.key AS key, rpad(CAST(starts.start AS TEXT), $7::INTEGER) || starts.actor AS operand
FROM (SELECT events.key AS key, events.actor AS actor, events.shown AS shown, max(CASE WHEN (events.at - events.before <= $8::INTERVAL) THEN NULL ELSE events.at END) OVER (PARTITION BY events.actor ORDER BY events.at) AS start
FROM (SELECT raw_events.metadata ->> $2::VARCHAR AS key, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS actor, raw_events.timestamp AS at, lag(raw_events.timestamp) OVER (PARTITION BY coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" ORDER BY raw_events.timestamp) AS before, true AS shown
FROM raw_events
WHERE raw_events.project = $3::VARCHAR AND raw_events.timestamp >= $4::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $5::TIMESTAMP WITH TIME ZONE AND raw_events.session_id LIKE $6::VARCHAR) AS events) AS starts
WHERE starts.shown) AS members) AS rows GROUP BY rows.key ORDER BY value DESC NULLS LAST, (rows.key COLLATE "C") NULLS LAST
 LIMIT $9::INTEGER) AS rows) AS sized
WHERE sized.text_bytes - sized.own_bytes < $10::INTEGER;

SELECT rows.slot, rows.bucket, count(rows.operand) AS value
FROM (SELECT DISTINCT members.slot AS slot, members.bucket AS bucket, members.operand AS operand
FROM (SELECT CASE WHEN ((raw_events.metadata ->> $1::VARCHAR) IS NULL) THEN 0 ELSE coalesce(shown.slot, 0) END AS slot, width_bucket(raw_events.timestamp, $2::TIMESTAMP WITH TIME ZONE[]) AS bucket, raw_events.session_id COLLATE "C" AS operand
FROM raw_events LEFT OUTER JOIN unnest($3::TEXT[]) WITH ORDINALITY AS shown(value, slot) ON shown.value = (raw_events.metadata ->> $4::VARCHAR)
WHERE raw_events.project = $5::VARCHAR AND raw_events.timestamp >= $6::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $7::TIMESTAMP WITH TIME ZONE AND raw_events.session_id NOT LIKE $8::VARCHAR UNION ALL SELECT starts.slot AS slot, starts.bucket AS bucket, rpad(CAST(starts.start AS TEXT), $9::INTEGER) || starts.actor AS operand
FROM (SELECT events.slot AS slot, events.bucket AS bucket, events.actor AS actor, events.shown AS shown, max(CASE WHEN (events.at - events.before <= $10::INTERVAL) THEN NULL ELSE events.at END) OVER (PARTITION BY events.actor ORDER BY events.at) AS start
FROM (SELECT CASE WHEN ((raw_events.metadata ->> $1::VARCHAR) IS NULL) THEN 0 ELSE coalesce(shown.slot, 0) END AS slot, width_bucket(raw_events.timestamp, $2::TIMESTAMP WITH TIME ZONE[]) AS bucket, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS actor, raw_events.timestamp AS at, lag(raw_events.timestamp) OVER (PARTITION BY coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" ORDER BY raw_events.timestamp) AS before, true AS shown
FROM raw_events LEFT OUTER JOIN unnest($3::TEXT[]) WITH ORDINALITY AS shown(value, slot) ON shown.value = (raw_events.metadata ->> $4::VARCHAR)
WHERE raw_events.project = $5::VARCHAR AND raw_events.timestamp >= $6::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $7::TIMESTAMP WITH TIME ZONE AND raw_events.session_id LIKE $8::VARCHAR) AS events) AS starts
WHERE starts.shown) AS members) AS rows GROUP BY rows.slot, rows.bucket;

SELECT rows.slot, rows.bucket, count(rows.operand) AS value
FROM (SELECT DISTINCT members.slot AS slot, members.bucket AS bucket, members.operand AS operand
FROM (SELECT CASE WHEN ((raw_events.metadata ->> $1::VARCHAR) IS NULL) THEN 0 ELSE coalesce(shown.slot, 0) END AS slot, width_bucket(raw_events.timestamp, $2::TIMESTAMP WITH TIME ZONE[]) AS bucket, raw_events.session_id COLLATE "C" AS operand
FROM raw_events LEFT OUTER JOIN unnest($3::TEXT[]) WITH ORDINALITY AS shown(value, slot) ON shown.value = (raw_events.metadata ->> $4::VARCHAR)
WHERE raw_events.project = $5::VARCHAR AND raw_events.timestamp >= $6::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $7::TIMESTAMP WITH TIME ZONE AND raw_events.session_id NOT LIKE $8::VARCHAR UNION ALL SELECT starts.slot AS slot, starts.bucket AS bucket, rpad(CAST(starts.start AS TEXT), $9::INTEGER) || starts.actor AS operand
FROM (SELECT events.slot AS slot, events.bucket AS bucket, events.actor AS actor, events.shown AS shown, max(CASE WHEN (events.at - events.before <= $10::INTERVAL) THEN NULL ELSE events.at END) OVER (PARTITION BY events.actor ORDER BY events.at) AS start
FROM (SELECT CASE WHEN ((raw_events.metadata ->> $1::VARCHAR) IS NULL) THEN 0 ELSE coalesce(shown.slot, 0) END AS slot, width_bucket(raw_events.timestamp, $2::TIMESTAMP WITH TIME ZONE[]) AS bucket, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS actor, raw_events.timestamp AS at, lag(raw_events.timestamp) OVER (PARTITION BY coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" ORDER BY raw_events.timestamp) AS before, true AS shown
FROM raw_events LEFT OUTER JOIN unnest($3::TEXT[]) WITH ORDINALITY AS shown(value, slot) ON shown.value = (raw_events.metadata ->> $4::VARCHAR)
WHERE raw_events.project = $5::VARCHAR AND raw_events.timestamp >= $6::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $7::TIMESTAMP WITH TIME ZONE AND raw_events.session_id LIKE $8::VARCHAR) AS events) AS starts
WHERE starts.shown) AS members) AS rows GROUP BY rows.slot, rows.bucket;
