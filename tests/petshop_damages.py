"""Harm done to a pet shop on purpose, one statement for each of its checks, and nonsense to build it with."""

from __future__ import annotations

from typing import Final

DAMAGES: Final = {
    "sale_is_sum_of_items": "UPDATE vendas SET subtotal = subtotal + 0.01 WHERE id = 5",
    "items_are_numbered_from_one": "UPDATE itens_venda SET numero = 6 WHERE numero = 2 AND venda_id ="
    " (SELECT venda_id FROM itens_venda GROUP BY 1 HAVING count(*) = 2 LIMIT 1)",
    "payments_sum_to_total": "DELETE FROM pagamentos WHERE id = 7",
    "every_item_left_the_stock": "UPDATE estoque_movimentos SET quantidade = -9 WHERE id = (SELECT max(id)"
    " FROM estoque_movimentos WHERE tipo = 'saída')",
    "stock_is_sum_of_movements": "UPDATE estoques SET quantidade = quantidade + 1 WHERE produto_id = 3",
    "stock_was_never_negative": "UPDATE estoque_movimentos SET quantidade = 1 WHERE tipo = 'entrada'",
    "sold_while_the_shop_was_open": "UPDATE vendas SET realizada_em = realizada_em - INTERVAL '12 hours'"
    " WHERE id = 1",
    "sales_are_numbered_in_time": "UPDATE vendas SET realizada_em = realizada_em - INTERVAL '2 days'"
    " WHERE id = 400",
    "sequences_are_not_behind": "ALTER SEQUENCE nota_fiscal_seq RESTART WITH 1000",
    "price_fits_its_category": "UPDATE produtos SET preco = 90000 WHERE id = 1",
    "sold_at_todays_price_or_the_one_before": "UPDATE produtos SET preco = preco + 1",
    "cpf_is_valid": "ALTER DOMAIN cpf DROP CONSTRAINT cpf_check;"
    " UPDATE clientes SET cpf = '12345678900' WHERE id = 9",
    "registered_numbers_have_their_check_digits": "UPDATE lojas SET cnpj = '31415926000199' WHERE id = 1",
    "email_is_made_of_the_name": "UPDATE clientes SET nome = 'Zoé ' || nome",
    "customers_bought_after_they_were_registered": "UPDATE clientes SET criado_em = '2026-01-31'",
    "animals_were_born_first": "UPDATE animais SET nascimento = '2026-01-31' WHERE id = 1",
    "one_main_address": "UPDATE enderecos SET principal = false WHERE id = 1",
    "nobody_is_booked_twice": "UPDATE agendamentos SET fim = fim + INTERVAL '300 days'",
    "appointments_are_with_the_right_person": "UPDATE usuarios SET papel = 'vendas' WHERE papel = 'veterinária'",
    "sellers_sell_in_their_shop": "UPDATE usuarios SET loja_id = 2 WHERE loja_id = 1",
    "tenants_are_separate": "SET session_replication_role = replica;"
    " UPDATE pagamentos SET tenant_id = 3 - tenant_id WHERE id = 1",
    "report_is_up_to_date": "UPDATE vendas SET subtotal = subtotal + 1 WHERE status = 'paga'",
    "every_discount_is_on_record": "DELETE FROM auditoria WHERE detalhes ->> 'campo' = 'desconto'",
}
"""For each check the harm that it must see."""
REFUSED: Final = {
    "scale=0": 'scale is "0"',
    "scale=many": 'scale is "many"',
    "scale=5001": 'scale is "5001"',
    "scale=1; drop table vendas": 'scale is "1; drop table vendas"',
    "scale=": 'scale is ""',
    "until=31/01/2026": 'until is "31/01/2026"',
    "until=2026-02-30": "2026-02-30",
    "until=now": 'until is "now"',
}
"""A psql variable that makes no sense, and what the message says of it."""
