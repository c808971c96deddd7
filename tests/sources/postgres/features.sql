-- Every feature of a database that a round trip must keep; run by psql as superuser in an empty database.
SELECT 'CREATE ROLE ' || quote_ident(r) || ' NOLOGIN' FROM unnest(ARRAY[:'owner', :'reader']) r
WHERE r NOT IN (SELECT rolname FROM pg_roles) \gexec
ALTER DATABASE :"database" SET work_mem = '5MB';
COMMENT ON DATABASE :"database" IS 'Ein Kommentar: "mit" ''Zitaten''';
CREATE EXTENSION hstore;
CREATE SCHEMA "Vendas" AUTHORIZATION :"owner";
CREATE SCHEMA "weird schema.with ""dots""";
COMMENT ON SCHEMA "Vendas" IS 'maiúsculas e espaços';

-- Types
CREATE TYPE "Vendas".estado AS ENUM ('novo', 'pago', 'it''s "odd"');
ALTER TYPE "Vendas".estado ADD VALUE 'enviado' BEFORE 'pago';
CREATE DOMAIN "Vendas".email AS text CHECK (VALUE ~ '@') NOT NULL;
CREATE TYPE "Vendas".ponto AS (x integer, y integer);
CREATE TYPE "Vendas".faixa AS RANGE (subtype = numeric);
CREATE COLLATION "Vendas".ordem (locale = 'C');

-- Tables: odd names, identity, generated, arrays, composites, ranges
CREATE TABLE "Vendas"."Cliente Nº 1" (
    "Id" bigint GENERATED ALWAYS AS IDENTITY (START 1000 INCREMENT 5) PRIMARY KEY,
    "E-Mail" "Vendas".email,
    "größe" numeric(12, 2),
    "größe doppelt" numeric GENERATED ALWAYS AS ("größe" * 2) STORED,
    "select" "Vendas".estado DEFAULT 'novo',
    orte "Vendas".ponto[],
    bereich "Vendas".faixa,
    tags hstore,
    name text COLLATE "Vendas".ordem,
    UNIQUE ("E-Mail", "größe")
);
ALTER TABLE "Vendas"."Cliente Nº 1" OWNER TO :"owner";
COMMENT ON COLUMN "Vendas"."Cliente Nº 1"."select" IS 'estado; -- não é comentário';
INSERT INTO "Vendas"."Cliente Nº 1" ("E-Mail", "größe", "select", orte, bereich, tags, name)
SELECT 'k' || i || '@x.de', i * 1.5, (ARRAY['novo', 'pago', 'it''s "odd"'])[1 + i % 3]::"Vendas".estado,
       ARRAY[(i, -i)::"Vendas".ponto], ('[' || i || ',' || i + 1 || ')')::"Vendas".faixa,
       hstore('a', i::text), E'Zeile\nzwei\t\\N' || i
FROM generate_series(1, 300) i;

CREATE TABLE "Vendas".pedido (
    id serial PRIMARY KEY,
    cliente bigint NOT NULL REFERENCES "Vendas"."Cliente Nº 1" ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    pai integer REFERENCES "Vendas".pedido,
    quando timestamptz NOT NULL DEFAULT '2026-01-01 12:00:00+00',
    dados jsonb, ip inet, bits bit varying(9), preis money, dauer interval, roh bytea, gl double precision,
    CHECK (pai IS DISTINCT FROM id),
    CHECK (ip IN ('10.0.0.1', '10.0.0.2') OR ip IS NULL OR ip <> '0.0.0.0')
);
INSERT INTO "Vendas".pedido (cliente, pai, dados, ip, bits, preis, dauer, roh, gl)
SELECT 1000 + 5 * (i % 300), NULLIF(i - 1, 0), jsonb_build_object('n', i, 'u', U&'\+01F43E'), '10.0.0.1',
       B'10101', i * 1.25, make_interval(days => i, secs => 0.5), decode(lpad(to_hex(i), 8, '0'), 'hex'),
       (ARRAY['NaN', 'Infinity', '-0', '1e-300', '0.1'])[1 + i % 5]::float8
FROM generate_series(1, 500) i;
ALTER TABLE "Vendas".pedido ADD CONSTRAINT nicht_geprueft CHECK (gl <> 42) NOT VALID;

-- The wheels' servers are built without libxml
\if :xml
ALTER TABLE "Vendas".pedido ADD COLUMN docs xml DEFAULT '<a b="1">&amp;</a>';
\endif

-- Partitions, two levels; inheritance; a table without rows, one without columns, an unlogged one
CREATE TABLE public.messung (am date NOT NULL, ort text NOT NULL, wert real) PARTITION BY RANGE (am);
CREATE TABLE public.messung_2025 PARTITION OF public.messung FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')
    PARTITION BY LIST (ort);
CREATE TABLE public.messung_2025_a PARTITION OF public.messung_2025 FOR VALUES IN ('a');
CREATE TABLE public.messung_2025_rest PARTITION OF public.messung_2025 DEFAULT;
CREATE TABLE public.messung_rest PARTITION OF public.messung DEFAULT;
CREATE INDEX ON public.messung (am, ort);
INSERT INTO public.messung SELECT date '2025-12-20' + i, (ARRAY['a', 'b'])[1 + i % 2], i FROM generate_series(1, 40) i;
CREATE TABLE public.eltern (a integer);
CREATE TABLE public.kind (b integer) INHERITS (public.eltern);
INSERT INTO public.eltern VALUES (1);
INSERT INTO public.kind VALUES (2, 3);
CREATE TABLE public.leer (a integer PRIMARY KEY);
CREATE TABLE public.ohne_spalten ();
INSERT INTO public.ohne_spalten SELECT FROM generate_series(1, 3);
CREATE UNLOGGED TABLE public.fluechtig (a integer);
INSERT INTO public.fluechtig VALUES (7);
CREATE TABLE "weird schema.with ""dots"""."a.b; DROP TABLE x" ("a'b" text, "c""d" text);
INSERT INTO "weird schema.with ""dots"""."a.b; DROP TABLE x" VALUES ('''', '"'), (E'\\', NULL), ('', E'\r\n');

-- Indexes, statistics, views, rules
CREATE INDEX "Índice parcial" ON "Vendas".pedido (lower(host(ip))) WHERE gl > 0;
CREATE INDEX pedido_dados ON "Vendas".pedido USING gin (dados);
CREATE STATISTICS "Vendas".estat (dependencies) ON cliente, pai FROM "Vendas".pedido;
CREATE VIEW "Vendas".resumo AS SELECT cliente, count(*) AS n FROM "Vendas".pedido GROUP BY 1;
CREATE VIEW "Vendas".sobre_resumo WITH (security_barrier) AS SELECT n FROM "Vendas".resumo WITH LOCAL CHECK OPTION;
CREATE MATERIALIZED VIEW "Vendas".mv AS SELECT DISTINCT n FROM "Vendas".resumo;
CREATE UNIQUE INDEX ON "Vendas".mv (n);
CREATE MATERIALIZED VIEW "Vendas".mv_vazia AS SELECT 1 AS eins WITH NO DATA;
CREATE RULE nada AS ON DELETE TO public.leer DO INSTEAD NOTHING;

-- Functions, procedures, aggregates, operators, casts, triggers, event triggers
CREATE FUNCTION "Vendas".soma(a integer, VARIADIC b integer[]) RETURNS integer LANGUAGE sql IMMUTABLE STRICT SECURITY DEFINER
    SET search_path = '' AS $f$ SELECT a + (SELECT sum(x)::integer FROM unnest(b) x) $f$;
CREATE FUNCTION "Vendas".marca() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN NEW.wert := coalesce(NEW.wert, 0); RETURN NEW; END $f$;
CREATE PROCEDURE public.feito() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE public.produto(double precision) (sfunc = float8mul, stype = double precision, initcond = '1');
CREATE OPERATOR public.=== (leftarg = integer, rightarg = integer, function = int4eq);
CREATE CAST ("Vendas".ponto AS text) WITH INOUT;
CREATE TRIGGER marca BEFORE INSERT ON public.messung FOR EACH ROW EXECUTE FUNCTION "Vendas".marca();
CREATE FUNCTION public.bei_leer() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER aus AFTER UPDATE ON public.leer EXECUTE FUNCTION public.bei_leer();
ALTER TABLE public.leer DISABLE TRIGGER aus;
CREATE FUNCTION public.ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER ddl_wacht ON ddl_command_end EXECUTE FUNCTION public.ddl();

-- Rights, row security, publications, foreign data, text search, large objects
GRANT SELECT ON ALL TABLES IN SCHEMA "Vendas" TO :"reader";
GRANT UPDATE ("größe") ON "Vendas"."Cliente Nº 1" TO :"reader" WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA "Vendas" GRANT SELECT ON TABLES TO :"reader";
ALTER TABLE "Vendas".pedido ENABLE ROW LEVEL SECURITY;
CREATE POLICY propria ON "Vendas".pedido FOR SELECT TO :"reader" USING (id > 10);
CREATE PUBLICATION novidades FOR TABLE "Vendas".pedido;
CREATE FOREIGN DATA WRAPPER postiche;
CREATE SERVER fora FOREIGN DATA WRAPPER postiche OPTIONS (host 'h');
CREATE FOREIGN TABLE public.distante (a integer) SERVER fora;
CREATE TEXT SEARCH CONFIGURATION public.busca (COPY = simple);
SELECT lo_from_bytea(424242, decode(repeat('00ff10', 3000), 'hex')), lo_from_bytea(424243, '') \g /dev/null
COMMENT ON LARGE OBJECT 424242 IS 'grande';

-- Sequences that stand where counting does not put them
CREATE SEQUENCE "Vendas".solta AS smallint INCREMENT -3 MAXVALUE 100 START 90 CYCLE;
SELECT nextval('"Vendas".solta'), nextval('"Vendas".solta') \g /dev/null
SELECT setval('"Vendas".pedido_id_seq', 7777, false) \g /dev/null
CREATE SEQUENCE public.nie_benutzt;

-- Two hundred schemas with a table each
SELECT format('CREATE SCHEMA s%s; CREATE TABLE s%s.t AS SELECT %s AS n', i, i, i) FROM generate_series(1, 200) i \gexec
