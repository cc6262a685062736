"""Usage that comes after its estimate says what the provider's cache saved, too. Versioned: never edited once released."""

from django.db import migrations

# An estimate knows of no cache, so nothing was noted of it yet. Once, like the entry itself: whatever comes after the
# first late usage changes nothing.
TRUE_UP = """
CREATE FUNCTION billing_true_up_v2(
    p_reservation billing_reservation, p_estimate_nanos bigint, p_amount_nanos bigint, p_total numeric,
    p_cached_input bigint, p_cache_write bigint, p_at timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_department text := 'department:' || p_reservation.department_id;
    v_provider text := 'provider:' || p_reservation.provider_code;
    v_is_charge boolean := p_amount_nanos >= p_estimate_nanos;
BEGIN
    INSERT INTO billing_ledgerentry (
        id, kind, reservation_id, department_id, debit, credit, amount_nanos, booked_at, posted_at, reason
    ) VALUES (
        gen_random_uuid(), 'TRUE_UP', p_reservation.id, p_reservation.department_id,
        CASE WHEN v_is_charge THEN v_department ELSE v_provider END,
        CASE WHEN v_is_charge THEN v_provider ELSE v_department END,
        abs(p_amount_nanos - p_estimate_nanos), p_at, p_at, 'the provider''s usage came after the estimate'
    ) ON CONFLICT (reservation_id, kind) WHERE kind IN ('SETTLEMENT', 'EXCESS', 'TRUE_UP') DO NOTHING;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF p_cached_input > 0 OR p_cache_write > 0 THEN
        PERFORM billing_provider_cache_v1(p_reservation, p_cached_input, p_cache_write, p_total, p_at);
    END IF;
    PERFORM billing_charge_v1(p_reservation.period_ids, 0, p_amount_nanos - p_estimate_nanos);
END $$;
"""

SETTLE = """
CREATE FUNCTION billing_settle_v3(
    p_id uuid, p_outcome text, p_input bigint, p_cached_input bigint, p_cache_write bigint, p_output bigint,
    p_embedding bigint, p_batch_input bigint, p_batch_output bigint, p_audio_ms bigint, p_is_estimated boolean,
    p_elapsed_ms integer, p_at timestamptz
) RETURNS billing_usagerecord LANGUAGE plpgsql AS $$
DECLARE
    v_reservation billing_reservation;
    v_record billing_usagerecord;
    v_at timestamptz := coalesce(p_at, clock_timestamp());
    v_total numeric;
    v_amount bigint;
    v_price_ids jsonb;
    v_department text;
    v_provider text;
BEGIN
    UPDATE billing_reservation SET state = 'SETTLED', settled_at = v_at
        WHERE id = p_id AND state = 'OPEN' RETURNING * INTO v_reservation;
    IF FOUND THEN
        v_record.id := p_id;
    ELSE
        SELECT * INTO v_reservation FROM billing_reservation WHERE id = p_id;
        SELECT * INTO v_record FROM billing_usagerecord AS record
            WHERE record.id = p_id AND record.created_at = v_reservation.created_at;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no open call %', p_id USING ERRCODE = 'no_data_found';
        END IF;
        IF v_record.outcome <> 'ESTIMATED' OR p_outcome = 'ESTIMATED' THEN
            RETURN v_record;
        END IF;
    END IF;

    SELECT
        coalesce(sum(used.units::numeric * price.nanos_per_million_tokens), 0),
        coalesce(jsonb_object_agg(used.meter, price.id) FILTER (WHERE price.id IS NOT NULL), '{}')
    INTO v_total, v_price_ids
    FROM (VALUES
        ('INPUT', p_input), ('CACHE_READ', p_cached_input), ('CACHE_WRITE', p_cache_write), ('OUTPUT', p_output),
        ('EMBEDDING', p_embedding), ('BATCH_INPUT', p_batch_input), ('BATCH_OUTPUT', p_batch_output),
        ('AUDIO', p_audio_ms)
    ) AS used (meter, units)
    CROSS JOIN LATERAL billing_price_v2(
        v_reservation.provider_code, v_reservation.model_code, used.meter, v_reservation.created_at
    ) AS price
    WHERE used.units > 0;
    v_amount := billing_amount_v2(v_total);
    IF v_record.outcome = 'ESTIMATED' THEN
        PERFORM billing_true_up_v2(
            v_reservation, v_record.amount_nanos, v_amount, v_total, p_cached_input, p_cache_write, v_at
        );
        RETURN v_record;
    END IF;

    INSERT INTO billing_usagerecord (
        id, created_at, request_id, attempt, user_id, department_id, api_key_id, product, conversation_id, tags,
        purpose, outcome, provider_code, model_code, input_tokens, cached_input_tokens, cache_write_tokens,
        output_tokens, embedding_tokens, batch_input_tokens, batch_output_tokens, audio_ms, is_estimated,
        amount_nanos, price_ids, elapsed_ms
    ) VALUES (
        p_id, v_reservation.created_at, v_reservation.request_id, v_reservation.attempt, v_reservation.user_id,
        v_reservation.department_id, v_reservation.api_key_id, v_reservation.product, v_reservation.conversation_id,
        v_reservation.tags, v_reservation.purpose, p_outcome, v_reservation.provider_code, v_reservation.model_code,
        p_input, p_cached_input, p_cache_write, p_output, p_embedding, p_batch_input, p_batch_output, p_audio_ms,
        p_is_estimated, v_amount, v_price_ids, p_elapsed_ms
    ) RETURNING * INTO v_record;
    v_department := 'department:' || v_reservation.department_id;
    v_provider := 'provider:' || v_reservation.provider_code;
    INSERT INTO billing_ledgerentry (
        id, kind, reservation_id, department_id, debit, credit, amount_nanos, booked_at, posted_at, reason
    ) VALUES (
        p_id, 'SETTLEMENT', p_id, v_reservation.department_id, v_department, v_provider,
        least(v_amount, v_reservation.max_nanos), v_reservation.created_at, v_at, ''
    );
    IF v_amount > v_reservation.max_nanos THEN
        INSERT INTO billing_ledgerentry (
            id, kind, reservation_id, department_id, debit, credit, amount_nanos, booked_at, posted_at, reason
        ) VALUES (
            gen_random_uuid(), 'EXCESS', p_id, v_reservation.department_id,
            'overdraft:' || v_reservation.department_id, v_provider, v_amount - v_reservation.max_nanos,
            v_reservation.created_at, v_at, 'the call cost more than was held for it'
        );
    END IF;
    IF p_cached_input > 0 OR p_cache_write > 0 THEN
        PERFORM billing_provider_cache_v1(v_reservation, p_cached_input, p_cache_write, v_total, v_at);
    END IF;
    PERFORM billing_charge_v1(v_reservation.period_ids, v_reservation.max_nanos, v_amount);
    RETURN v_record;
END $$;
"""

UNDO = """
DROP FUNCTION billing_settle_v3;
DROP FUNCTION billing_true_up_v2;
"""


class Migration(migrations.Migration):

    dependencies = [
        ("billing", "0008_closed_months"),
    ]

    operations = [
        migrations.RunSQL(TRUE_UP + SETTLE, UNDO),
    ]
