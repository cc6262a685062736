"""The two calls all money goes through, and the arithmetic they share. Versioned: never edited once released."""

from django.db import migrations

ROUNDING = """
-- Rounds half to even like apps.core.money; PostgreSQL's own round() goes half away from zero.
CREATE FUNCTION billing_amount_v1(p_tokens_times_price numeric) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (quotient + CASE
        WHEN 2 * rest > 1000000 OR (2 * rest = 1000000 AND quotient % 2 = 1) THEN 1 ELSE 0
    END)::bigint
    FROM (SELECT div(p_tokens_times_price, 1000000) AS quotient, mod(p_tokens_times_price, 1000000) AS rest) AS parts
$$;
"""

# A provider without a price of its own for cached tokens charges them like fresh ones.
PRICES = """
CREATE FUNCTION billing_price_v1(p_provider_code text, p_model_code text, p_meter text, p_at timestamptz)
RETURNS billing_price LANGUAGE sql STABLE AS $$
    SELECT price FROM billing_price AS price
    WHERE provider_code = p_provider_code AND model_code = p_model_code AND starts_at <= p_at
        AND (meter = p_meter OR (meter = 'INPUT' AND p_meter IN ('CACHE_READ', 'CACHE_WRITE')))
    ORDER BY (meter = p_meter) DESC, starts_at DESC
    LIMIT 1
$$;
"""

RESERVE = """
CREATE FUNCTION billing_reserve_v1(
    p_id uuid, p_request_id uuid, p_attempt smallint, p_user_id uuid, p_department_id uuid, p_purpose text,
    p_provider_code text, p_model_code text, p_max_input_tokens bigint, p_max_output_tokens bigint,
    p_lifetime interval, p_at timestamptz
) RETURNS billing_reservation LANGUAGE plpgsql AS $$
DECLARE
    v_at timestamptz := coalesce(p_at, now());
    v_input bigint := coalesce(greatest(
        (billing_price_v1(p_provider_code, p_model_code, 'INPUT', v_at)).nanos_per_million_tokens,
        (billing_price_v1(p_provider_code, p_model_code, 'CACHE_WRITE', v_at)).nanos_per_million_tokens
    ), 0);
    v_output bigint := coalesce(
        (billing_price_v1(p_provider_code, p_model_code, 'OUTPUT', v_at)).nanos_per_million_tokens, 0
    );
    v_row billing_reservation;
BEGIN
    INSERT INTO billing_reservation (
        id, request_id, attempt, user_id, department_id, purpose, provider_code, model_code,
        max_nanos, max_input_tokens, max_output_tokens, state, created_at, expires_at
    ) VALUES (
        p_id, p_request_id, p_attempt, p_user_id, p_department_id, p_purpose, p_provider_code, p_model_code,
        billing_amount_v1(p_max_input_tokens::numeric * v_input + p_max_output_tokens::numeric * v_output),
        p_max_input_tokens, p_max_output_tokens, 'OPEN', v_at, v_at + p_lifetime
    )
    ON CONFLICT (request_id, attempt) DO NOTHING
    RETURNING * INTO v_row;
    IF NOT FOUND THEN
        SELECT * INTO v_row FROM billing_reservation WHERE request_id = p_request_id AND attempt = p_attempt;
    END IF;
    RETURN v_row;
END $$;
"""

# A repeat finds the reservation settled and returns the first record, whatever it was called with.
SETTLE = """
CREATE FUNCTION billing_settle_v1(
    p_id uuid, p_outcome text, p_input bigint, p_cached_input bigint, p_cache_write bigint, p_output bigint,
    p_is_estimated boolean, p_elapsed_ms integer, p_at timestamptz
) RETURNS billing_usagerecord LANGUAGE plpgsql AS $$
DECLARE
    v_reservation billing_reservation;
    v_record billing_usagerecord;
    v_total numeric;
    v_price_ids jsonb;
BEGIN
    UPDATE billing_reservation SET state = 'SETTLED', settled_at = coalesce(p_at, now())
        WHERE id = p_id AND state = 'OPEN' RETURNING * INTO v_reservation;
    IF NOT FOUND THEN
        SELECT record.* INTO v_record FROM billing_reservation AS reservation
            JOIN billing_usagerecord AS record USING (id, created_at) WHERE reservation.id = p_id;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no reservation %', p_id USING ERRCODE = 'no_data_found';
        END IF;
        RETURN v_record;
    END IF;

    SELECT
        coalesce(sum(used.tokens::numeric * price.nanos_per_million_tokens), 0),
        coalesce(jsonb_object_agg(used.meter, price.id) FILTER (WHERE price.id IS NOT NULL), '{}')
    INTO v_total, v_price_ids
    FROM (VALUES
        ('INPUT', p_input), ('CACHE_READ', p_cached_input), ('CACHE_WRITE', p_cache_write), ('OUTPUT', p_output)
    ) AS used (meter, tokens)
    CROSS JOIN LATERAL billing_price_v1(
        v_reservation.provider_code, v_reservation.model_code, used.meter, v_reservation.created_at
    ) AS price
    WHERE used.tokens > 0;

    INSERT INTO billing_usagerecord (
        id, created_at, request_id, attempt, user_id, department_id, purpose, outcome, provider_code, model_code,
        input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, is_estimated, amount_nanos, price_ids,
        elapsed_ms
    ) VALUES (
        p_id, v_reservation.created_at, v_reservation.request_id, v_reservation.attempt, v_reservation.user_id,
        v_reservation.department_id, v_reservation.purpose, p_outcome, v_reservation.provider_code,
        v_reservation.model_code, p_input, p_cached_input, p_cache_write, p_output, p_is_estimated,
        billing_amount_v1(v_total), v_price_ids, p_elapsed_ms
    ) RETURNING * INTO v_record;
    RETURN v_record;
END $$;
"""

UNDO = """
DROP FUNCTION billing_settle_v1;
DROP FUNCTION billing_reserve_v1;
DROP FUNCTION billing_price_v1;
DROP FUNCTION billing_amount_v1;
"""


class Migration(migrations.Migration):

    dependencies = [
        ("billing", "0002_usage_records"),
    ]

    operations = [
        migrations.RunSQL(ROUNDING + PRICES + RESERVE + SETTLE, UNDO),
    ]
