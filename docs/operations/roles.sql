-- Creates the database accounts and their rights. Safe to run again, for example to change a password.
-- Run it as a superuser, in the database itself:
--
--     OWNER_PASSWORD=… READER_PASSWORD=… psql -d analytics -f roles.sql
--
-- analytics         owns the tables: `analytics migrate`, and the processor, which makes and drops partitions
-- analytics_reader  may only read, for at most 60 s a statement: the api and Grafana
-- The collector and realtime have no account: they use Redis only.

\set ON_ERROR_STOP on
\getenv owner_password OWNER_PASSWORD
\getenv reader_password READER_PASSWORD

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['analytics', 'analytics_reader']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

ALTER ROLE analytics PASSWORD :'owner_password';
ALTER ROLE analytics_reader PASSWORD :'reader_password';
ALTER ROLE analytics_reader SET default_transaction_read_only = on;
ALTER ROLE analytics_reader SET statement_timeout = '60s';
ALTER ROLE analytics_reader SET temp_file_limit = '2GB';

-- TimescaleDB, where the server has it. The migration then uses it.
SELECT 'CREATE EXTENSION IF NOT EXISTS timescaledb'
WHERE EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')
\gexec

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO analytics;
GRANT USAGE ON SCHEMA public TO analytics_reader;
SELECT format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO analytics; GRANT CONNECT ON DATABASE %I TO analytics_reader', current_database(), current_database())
\gexec

-- the tables that exist, and those that migrations will add
GRANT SELECT ON ALL TABLES IN SCHEMA public TO analytics_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE analytics IN SCHEMA public GRANT SELECT ON TABLES TO analytics_reader;
