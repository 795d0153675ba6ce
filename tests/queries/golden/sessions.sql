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

WITH parts AS
(SELECT rows.session AS session, rows."user" AS "user", min(rows.timestamp) AS first, max(rows.timestamp) AS last, count(*) AS events
FROM (SELECT members."user" AS "user", members.timestamp AS timestamp, members.session AS session
FROM (SELECT coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS "user", raw_events.timestamp AS timestamp, raw_events.session_id COLLATE "C" AS session
FROM raw_events
WHERE raw_events.project = $4::VARCHAR AND raw_events.timestamp >= $5::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $6::TIMESTAMP WITH TIME ZONE AND raw_events.session_id NOT LIKE $7::VARCHAR UNION ALL SELECT starts."user" AS "user", starts.timestamp AS timestamp, rpad(CAST(starts.start AS TEXT), $8::INTEGER) || starts.actor AS session
FROM (SELECT events."user" AS "user", events.timestamp AS timestamp, events.actor AS actor, events.shown AS shown, max(CASE WHEN (events.at - events.before <= $9::INTERVAL) THEN NULL ELSE events.at END) OVER (PARTITION BY events.actor ORDER BY events.at) AS start
FROM (SELECT coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS "user", raw_events.timestamp AS timestamp, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS actor, raw_events.timestamp AS at, lag(raw_events.timestamp) OVER (PARTITION BY coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" ORDER BY raw_events.timestamp) AS before, true AS shown
FROM raw_events
WHERE raw_events.project = $4::VARCHAR AND raw_events.timestamp >= $5::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $6::TIMESTAMP WITH TIME ZONE AND raw_events.session_id LIKE $7::VARCHAR) AS events) AS starts
WHERE starts.shown) AS members) AS rows GROUP BY rows.session, rows."user"),
sessions AS
(SELECT parts.session AS session, width_bucket(min(parts.first), $2::TIMESTAMP WITH TIME ZONE[]) AS bucket, sum(parts.events) = $3::INTEGER AS bounced, EXTRACT(epoch FROM max(parts.last) - min(parts.first)) AS seconds
FROM parts GROUP BY parts.session)
 SELECT durations.bucket, durations.sessions, durations.bounce_rate, durations.avg_s, durations.median_s, users.users
FROM (SELECT sessions.bucket AS bucket, count(*) AS sessions, avg(CAST(sessions.bounced AS INTEGER)) AS bounce_rate, avg(sessions.seconds) AS avg_s, percentile_cont($1::FLOAT) WITHIN GROUP (ORDER BY CAST(sessions.seconds AS DOUBLE PRECISION)) AS median_s
FROM sessions GROUP BY ROLLUP(sessions.bucket)) AS durations JOIN (SELECT users.bucket AS bucket, users.users AS users
FROM (SELECT pairs.bucket AS bucket, count(*) AS users
FROM (SELECT DISTINCT sessions.bucket AS bucket, parts."user" AS "user"
FROM parts JOIN sessions ON parts.session = sessions.session) AS pairs GROUP BY pairs.bucket UNION ALL SELECT CAST(NULL AS INTEGER) AS anon_1, count(*) AS count_1
FROM (SELECT DISTINCT parts."user" AS "user"
FROM parts) AS people) AS users) AS users ON coalesce(durations.bucket, $10::INTEGER) = coalesce(users.bucket, $11::INTEGER);
