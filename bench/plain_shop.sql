-- A shop of four tables, for the benchmark: :rows rows in all, primary keys, three more indexes, three foreign keys.
-- Numbers are spread by multiplication, texts by md5, so that it compresses about as real tokens and names do.
CREATE TABLE clientes (id bigint, nome text NOT NULL, email text NOT NULL, criado_em timestamptz NOT NULL);
CREATE TABLE produtos (id bigint, nome text NOT NULL, preco numeric(10, 2) NOT NULL);
CREATE TABLE vendas (
    id bigint, cliente_id bigint NOT NULL, criada_em timestamptz NOT NULL, total numeric(12, 2) NOT NULL, chave text NOT NULL
);
CREATE TABLE itens (
    id bigint, venda_id bigint NOT NULL, produto_id bigint NOT NULL, quantidade integer NOT NULL, preco numeric(10, 2) NOT NULL
);

SELECT r * 30 / 1000 AS clientes, r * 2 / 1000 AS produtos, r * 250 / 1000 AS vendas, r * 718 / 1000 AS itens FROM (SELECT :rows::bigint AS r) AS wanted \gset

INSERT INTO clientes
SELECT i, 'Cliente ' || i || ' ' || substr(md5(i::text), 1, 12), substr(md5('m' || i), 1, 14) || '@example.org',
       timestamptz '2020-01-01 00:00Z' + i * interval '73 s'
FROM generate_series(1::bigint, :clientes) AS i;
INSERT INTO produtos SELECT i, 'Produto ' || i, (i % 900 + 100) / 10.0 FROM generate_series(1::bigint, :produtos) AS i;
INSERT INTO vendas
SELECT i, 1 + i * 7919 % :clientes, timestamptz '2021-01-01 00:00Z' + i * interval '41 s' + i % 997 * interval '1 ms',
       i * 31 % 90000 / 100.0, md5('v' || i)
FROM generate_series(1::bigint, :vendas) AS i;
INSERT INTO itens
SELECT i, 1 + i * 5 % :vendas, 1 + i * 6151 % :produtos, 1 + i % 5, (i * 17 % 9000 + 100) / 100.0
FROM generate_series(1::bigint, :itens) AS i;

ALTER TABLE clientes ADD PRIMARY KEY (id);
ALTER TABLE produtos ADD PRIMARY KEY (id);
ALTER TABLE vendas ADD PRIMARY KEY (id);
ALTER TABLE itens ADD PRIMARY KEY (id);
CREATE INDEX ON vendas (cliente_id);
CREATE INDEX ON vendas (criada_em);
CREATE INDEX ON itens (venda_id);
ALTER TABLE vendas ADD FOREIGN KEY (cliente_id) REFERENCES clientes;
ALTER TABLE itens ADD FOREIGN KEY (venda_id) REFERENCES vendas, ADD FOREIGN KEY (produto_id) REFERENCES produtos;
