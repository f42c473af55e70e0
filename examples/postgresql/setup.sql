-- What an administrator runs once at a PostgreSQL 16 or newer, in the database that tasks use. docs/how-to/postgresql.md explains each line.
CREATE ROLE taskbound LOGIN CREATEROLE PASSWORD 'change-me';

CREATE SCHEMA orders;
CREATE TABLE orders.open_orders (id int PRIMARY KEY);
INSERT INTO orders.open_orders VALUES (42);

CREATE ROLE orders_read NOLOGIN;
GRANT USAGE ON SCHEMA orders TO orders_read;
GRANT SELECT ON ALL TABLES IN SCHEMA orders TO orders_read;
GRANT orders_read TO taskbound WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
