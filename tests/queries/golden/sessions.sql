WITH parts AS
(SELECT raw_events.session_id COLLATE "C" AS session, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS "user", min(raw_events.timestamp) AS first, max(raw_events.timestamp) AS last, count(*) AS events
FROM raw_events
WHERE raw_events.project = $4::VARCHAR AND raw_events.timestamp >= $5::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $6::TIMESTAMP WITH TIME ZONE GROUP BY raw_events.session_id COLLATE "C", coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C"),
visits AS
(SELECT parts.session AS session, width_bucket(min(parts.first), $2::TIMESTAMP WITH TIME ZONE[]) AS bucket, sum(parts.events) = $3::INTEGER AS bounced, EXTRACT(epoch FROM max(parts.last) - min(parts.first)) AS seconds
FROM parts GROUP BY parts.session)
 SELECT durations.bucket, durations.sessions, durations.bounce_rate, durations.avg_s, durations.median_s, users.users
FROM (SELECT visits.bucket AS bucket, count(*) AS sessions, avg(CAST(visits.bounced AS INTEGER)) AS bounce_rate, avg(visits.seconds) AS avg_s, percentile_cont($1::FLOAT) WITHIN GROUP (ORDER BY CAST(visits.seconds AS DOUBLE PRECISION)) AS median_s
FROM visits GROUP BY ROLLUP(visits.bucket)) AS durations JOIN (SELECT users.bucket AS bucket, users.users AS users
FROM (SELECT there.bucket AS bucket, count(*) AS users
FROM (SELECT DISTINCT visits.bucket AS bucket, parts."user" AS "user"
FROM parts JOIN visits ON parts.session = visits.session) AS there GROUP BY there.bucket UNION ALL SELECT CAST(NULL AS INTEGER) AS anon_1, count(*) AS count_1
FROM (SELECT DISTINCT parts."user" AS "user"
FROM parts) AS everyone) AS users) AS users ON coalesce(durations.bucket, $7::INTEGER) = coalesce(users.bucket, $8::INTEGER);
