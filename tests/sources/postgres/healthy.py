"""Healthy databases whose restored copies differ from them in nothing that matters, and are numbered or named otherwise."""

from __future__ import annotations

from typing import Final

HEALTHY: Final = {
    "a column that a parent got after its child": """
        CREATE TABLE animal (id serial PRIMARY KEY, name text);
        CREATE TABLE dog (breed text) INHERITS (animal);
        INSERT INTO dog (name, breed) VALUES ('rex', 'boxer');
        ALTER TABLE animal ADD COLUMN born date;
        UPDATE dog SET born = '2020-01-01';
    """,
    "keys to a table whose partitions were rotated": """
        CREATE TABLE ev (day date, id int, v text, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
        CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
        CREATE TABLE note (day date, id int, t text, FOREIGN KEY (day, id) REFERENCES ev (day, id));
        INSERT INTO ev VALUES ('2026-02-05', 1, 'x'); INSERT INTO note VALUES ('2026-02-05', 1, 'hello');
        ALTER TABLE ev DETACH PARTITION ev_1; DROP TABLE ev_1;
        CREATE TABLE ev_3 PARTITION OF ev FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
    """,
    "keys of partitions that were attached with their own": """
        CREATE TABLE cust (id int PRIMARY KEY);
        CREATE TABLE ord (id int, cust int, d date) PARTITION BY RANGE (d);
        CREATE TABLE ord_1 PARTITION OF ord FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        ALTER TABLE ord ADD FOREIGN KEY (cust) REFERENCES cust (id);
        CREATE TABLE ord_2 (id int, cust int REFERENCES cust (id), d date);
        ALTER TABLE ord ATTACH PARTITION ord_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
        CREATE TABLE ord_3 (id int, cust int, d date, CONSTRAINT mine FOREIGN KEY (cust) REFERENCES cust (id));
        ALTER TABLE ord ATTACH PARTITION ord_3 FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
        INSERT INTO cust VALUES (1); INSERT INTO ord VALUES (1, 1, '2026-01-05'), (2, 1, '2026-02-05'), (3, 1, '2026-03-05');
    """,
    "partitions by hash of an enumeration": """
        CREATE TYPE waste AS ENUM ('a'); DROP TYPE waste;
        CREATE TYPE color AS ENUM ('red', 'green', 'blue', 'x1', 'x2', 'x3', 'x4', 'x5');
        CREATE TABLE he (c color, v int) PARTITION BY HASH (c);
        CREATE TABLE he0 PARTITION OF he FOR VALUES WITH (MODULUS 4, REMAINDER 0);
        CREATE TABLE he1 PARTITION OF he FOR VALUES WITH (MODULUS 4, REMAINDER 1);
        CREATE TABLE he2 PARTITION OF he FOR VALUES WITH (MODULUS 4, REMAINDER 2);
        CREATE TABLE he3 PARTITION OF he FOR VALUES WITH (MODULUS 4, REMAINDER 3);
        INSERT INTO he SELECT (enum_range(NULL::color))[1 + i % 8], i FROM generate_series(1, 800) i;
    """,
    "an operator that is only a name": """
        CREATE FUNCTION neq(boolean, boolean) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 <> $2';
        CREATE OPERATOR !=! (LEFTARG = boolean, RIGHTARG = boolean, FUNCTION = neq, NEGATOR = !==!);
    """,
    "comments of what was dropped": """
        CREATE TABLE t (a int, b int);
        COMMENT ON COLUMN t.b IS 'gone'; ALTER TABLE t DROP COLUMN b;
        CREATE VIEW v AS SELECT 1 AS x; COMMENT ON VIEW v IS 'gone'; DROP VIEW v;
    """,
    "all identifiers in quotes": """
        CREATE TABLE t (i int, k regclass); INSERT INTO t VALUES (1, 't');
        DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET quote_all_identifiers = on', current_database()); END $$;
    """,
    "casts to text of the user's own": """
        CREATE TYPE dt AS (a int, b int);
        CREATE FUNCTION dt2t(dt) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT 'CONST'::text$$;
        CREATE CAST (dt AS text) WITH FUNCTION dt2t(dt);
        CREATE TABLE t (id int PRIMARY KEY, d dt); INSERT INTO t VALUES (1, ROW(1, 2));
        CREATE TYPE mood AS ENUM ('a', 'b');
        CREATE FUNCTION m2t(mood) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT 'x' FROM public.nothing); END $$;
        CREATE CAST (mood AS text) WITH FUNCTION m2t(mood);
        CREATE TABLE mm (m mood); INSERT INTO mm VALUES ('a');
    """,
    "no schema public": """
        DROP SCHEMA public CASCADE; CREATE SCHEMA app;
        CREATE TABLE app.t (i int PRIMARY KEY); INSERT INTO app.t VALUES (1);
        CREATE EXTENSION hstore SCHEMA app; CREATE TABLE app.h (h app.hstore); INSERT INTO app.h VALUES ('a=>1');
    """,
    "a schema public that was made anew": """
        DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE public.t (i int); INSERT INTO public.t VALUES (1);
    """,
    "an event trigger that forbids everything": """
        CREATE TABLE t (i int); INSERT INTO t VALUES (1);
        CREATE FUNCTION noddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no ddl here: %', tg_tag; END $$;
        CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION noddl();
    """,
    "extensions of another owner": """
        DO $$ BEGIN CREATE ROLE boss SUPERUSER LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        SET ROLE boss;
        CREATE EXTENSION hstore; CREATE EXTENSION tablefunc; CREATE EXTENSION intarray; CREATE EXTENSION pg_trgm;
        CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION dblink; CREATE EXTENSION earthdistance CASCADE;
        CREATE TABLE t (h hstore, c citext, l ltree); INSERT INTO t VALUES ('a=>1', 'A', 'a.b');
    """,
    "an extension of an earlier version": """
        CREATE EXTENSION hstore VERSION '1.4'; CREATE TABLE t (h hstore); INSERT INTO t VALUES ('a=>1');
    """,
    "rules, checks and defaults of every form": """
        CREATE TABLE a (i int CHECK (i > 0), j int GENERATED ALWAYS AS (i * 2) STORED, k text DEFAULT upper('x') COLLATE "C");
        CREATE TABLE b (LIKE a INCLUDING ALL); CREATE TABLE c () INHERITS (a);
        CREATE VIEW v AS SELECT DISTINCT ON (i) i, j FROM a ORDER BY i, j DESC;
        CREATE INDEX ON a (lower(k)) WHERE i > 3; INSERT INTO a (i) VALUES (1), (2); INSERT INTO c (i) VALUES (3);
    """,
    "unlogged tables with counters": """
        CREATE UNLOGGED TABLE u (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, s serial, v text);
        INSERT INTO u (v) SELECT 'x' || i FROM generate_series(1, 50) i;
        CREATE UNLOGGED TABLE later (id int GENERATED BY DEFAULT AS IDENTITY (START 7 INCREMENT 3));
        ALTER TABLE later SET LOGGED; INSERT INTO later DEFAULT VALUES;
        CREATE TABLE before (id bigserial); ALTER TABLE before SET UNLOGGED; INSERT INTO before DEFAULT VALUES;
    """,
    "arrays of every kind, and keys to tables that come later": """
        CREATE TABLE a (id uuid PRIMARY KEY, us uuid[], bs bytea[], js json[], jb jsonb[], ts timestamptz[][], n numeric[], z uuid);
        CREATE TABLE z (id uuid PRIMARY KEY, a uuid REFERENCES a);
        INSERT INTO z VALUES ('00000000-0000-0000-0000-000000000001');
        ALTER TABLE a ADD FOREIGN KEY (z) REFERENCES z;
        INSERT INTO a VALUES ('0220013c-a67f-4487-ac55-6a1c4fa0aa85', ARRAY['0220013c-a67f-4487-ac55-6a1c4fa0aa85'::uuid, NULL],
            ARRAY[bytea '\\x00ff22', '', NULL], ARRAY[json '{"a": [1, "\\u00e9"]}'], ARRAY[jsonb '"x"', 'null'],
            '{{"2026-01-01 00:00:00+02", infinity}, {NULL, -infinity}}', '[2:4]={NaN,1e100,-0.0}',
            '00000000-0000-0000-0000-000000000001');
        UPDATE z SET a = '0220013c-a67f-4487-ac55-6a1c4fa0aa85';
    """,
}
"""By what is odd about them: the statements that make them."""
