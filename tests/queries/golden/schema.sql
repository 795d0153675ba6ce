SELECT rows.event_type, count(*) AS count
FROM (SELECT raw_events.event_type AS event_type
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND raw_events.timestamp >= $2::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $3::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.event_type ORDER BY count DESC, rows.event_type COLLATE "C"
 LIMIT $4::INTEGER;

SELECT rows.event_type, rows.event_action, count(*) AS count
FROM (SELECT raw_events.event_type AS event_type, raw_events.event_action AS event_action
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND raw_events.timestamp >= $2::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $3::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.event_type, rows.event_action ORDER BY count DESC, rows.event_type COLLATE "C", rows.event_action COLLATE "C"
 LIMIT $4::INTEGER;

SELECT rows.key, count(*) AS count
FROM (SELECT jsonb_object_keys(raw_events.metadata) AS key
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND raw_events.timestamp >= $2::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $3::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.key ORDER BY count DESC, rows.key COLLATE "C"
 LIMIT $4::INTEGER;
