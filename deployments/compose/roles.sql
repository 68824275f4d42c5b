-- The roles of the database `spectron`, made by the postgres image on its first start.
--
--   spectron_owner    owns the database and runs the migrations
--   spectron_control  the key manager's; `spectrond migrate up` gives it the schema control
--   spectron_data     the data plane's; `spectrond migrate up` gives it the schema data, and nothing of control
--
-- Passwords come from the secret files, so that they stand neither here nor in a process's arguments.
\set owner_password `cat /run/secrets/owner_password`
\set control_password `cat /run/secrets/control_password`
\set data_password `cat /run/secrets/data_password`

-- A statement that fails is otherwise logged whole, password and all.
SET log_min_error_statement = panic;

CREATE ROLE spectron_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE spectron_control LOGIN PASSWORD :'control_password';
CREATE ROLE spectron_data LOGIN PASSWORD :'data_password';

ALTER DATABASE spectron OWNER TO spectron_owner;
REVOKE ALL ON DATABASE spectron FROM PUBLIC;
GRANT CONNECT ON DATABASE spectron TO spectron_control, spectron_data;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
