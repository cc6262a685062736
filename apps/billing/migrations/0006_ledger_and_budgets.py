"""The calls all money goes through, second version: budgets, double entry, meters. Versioned: never edited once released."""

from django.conf import settings
from django.db import migrations

# PL/pgSQL keeps the plans of its queries; functions in SQL are planned again at each call.
PRICES = """
CREATE FUNCTION billing_amount_v2(p_units_times_price numeric) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    v_quotient numeric := div(p_units_times_price, 1000000);
    v_rest numeric := p_units_times_price - v_quotient * 1000000;
BEGIN
    -- Half to even, like apps.core.money; PostgreSQL's own round() goes half away from zero.
    IF v_rest > 500000 OR (v_rest = 500000 AND v_quotient % 2 = 1) THEN
        RETURN v_quotient + 1;
    END IF;
    RETURN v_quotient;
END $$;

-- A meter without a price of its own costs what the plain one does.
CREATE FUNCTION billing_price_v2(p_provider_code text, p_model_code text, p_meter text, p_at timestamptz)
RETURNS billing_price LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_plain text := CASE
        WHEN p_meter IN ('CACHE_READ', 'CACHE_WRITE', 'EMBEDDING', 'BATCH_INPUT') THEN 'INPUT'
        WHEN p_meter = 'BATCH_OUTPUT' THEN 'OUTPUT'
    END;
    v_price billing_price;
BEGIN
    SELECT * INTO v_price FROM billing_price AS price
    WHERE provider_code = p_provider_code AND model_code = p_model_code AND meter = p_meter AND starts_at <= p_at
    ORDER BY starts_at DESC LIMIT 1;
    IF NOT FOUND AND v_plain IS NOT NULL THEN
        SELECT * INTO v_price FROM billing_price AS price
        WHERE provider_code = p_provider_code AND model_code = p_model_code AND meter = v_plain AND starts_at <= p_at
        ORDER BY starts_at DESC LIMIT 1;
    END IF;
    RETURN v_price;
END $$;
"""

BUDGETS = """
CREATE FUNCTION billing_period_v1(p_period text, p_at timestamptz, OUT starts_at timestamptz, OUT ends_at timestamptz)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_zone text := (SELECT time_zone FROM billing_book);
BEGIN
    IF p_period = 'TOTAL' THEN
        starts_at := timestamptz '1970-01-01 00:00+00';
    ELSE
        starts_at := date_trunc(p_period, p_at AT TIME ZONE v_zone) AT TIME ZONE v_zone;
        ends_at := (date_trunc(p_period, p_at AT TIME ZONE v_zone) + ('1 ' || p_period)::interval) AT TIME ZONE v_zone;
    END IF;
END $$;

-- Volatile, so that it sees what was committed while its caller waited for the period's row.
CREATE FUNCTION billing_limit_v1(p_budget_id uuid, p_thrift smallint, p_at timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN least(9223372036854775807, (
        SELECT CASE
            WHEN soft_limit_nanos IS NULL OR at_limit = 'REFUSE'
                OR p_thrift >= CASE at_limit WHEN 'CHEAPER_MODEL' THEN 1 ELSE 2 END
            THEN limit_nanos ELSE soft_limit_nanos
        END FROM billing_budget WHERE id = p_budget_id
    ) + (
        SELECT coalesce(sum(amount_nanos), 0) FROM billing_budgetincrease
        WHERE budget_id = p_budget_id AND starts_at <= p_at AND expires_at > p_at
    ));
END $$;

-- The period of a budget newly made or switched on begins with what its calls have cost and hold already.
CREATE FUNCTION billing_open_period_v1(p_budget_id uuid, p_at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_budget billing_budget;
    v_starts_at timestamptz;
    v_ends_at timestamptz;
    v_period_id bigint;
    v_spent_nanos bigint;
BEGIN
    LOCK TABLE billing_reservation IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO STRICT v_budget FROM billing_budget WHERE id = p_budget_id;
    SELECT * INTO v_starts_at, v_ends_at FROM billing_period_v1(v_budget.period, coalesce(p_at, clock_timestamp()));
    INSERT INTO billing_budgetperiod (budget_id, starts_at, ends_at, reserved_nanos, spent_nanos, has_gaps)
        VALUES (p_budget_id, v_starts_at, v_ends_at, 0, 0, false) ON CONFLICT DO NOTHING;
    SELECT id INTO STRICT v_period_id FROM billing_budgetperiod
        WHERE budget_id = p_budget_id AND starts_at = v_starts_at;
    -- Open calls will be charged; those settled at an estimate may still be put right.
    UPDATE billing_reservation
        SET period_ids = ARRAY(SELECT DISTINCT one FROM unnest(period_ids || v_period_id) AS one ORDER BY one)
        WHERE id IN (
            SELECT id FROM billing_reservation WHERE state = 'OPEN'
            UNION ALL
            SELECT id FROM billing_usagerecord WHERE outcome = 'ESTIMATED'
                AND created_at >= v_starts_at AND (v_ends_at IS NULL OR created_at < v_ends_at)
        )
            AND created_at >= v_starts_at AND (v_ends_at IS NULL OR created_at < v_ends_at)
            AND (v_budget.department_id IS NULL OR department_id = v_budget.department_id)
            AND (v_budget.user_id IS NULL OR user_id = v_budget.user_id)
            AND (v_budget.api_key_id IS NULL OR api_key_id = v_budget.api_key_id);
    IF v_budget.period = 'TOTAL' THEN
        -- Old usage records may have been removed; entries and reservations stay.
        SELECT coalesce(sum(entry.amount_nanos), 0) INTO v_spent_nanos
            FROM billing_ledgerentry AS entry JOIN billing_reservation AS call ON call.id = entry.reservation_id
            WHERE entry.kind IN ('SETTLEMENT', 'EXCESS')
                AND (v_budget.department_id IS NULL OR call.department_id = v_budget.department_id)
                AND (v_budget.user_id IS NULL OR call.user_id = v_budget.user_id)
                AND (v_budget.api_key_id IS NULL OR call.api_key_id = v_budget.api_key_id);
    ELSE
        SELECT coalesce(sum(amount_nanos), 0) INTO v_spent_nanos FROM billing_usagerecord
            WHERE created_at >= v_starts_at AND created_at < v_ends_at
                AND (v_budget.department_id IS NULL OR department_id = v_budget.department_id)
                AND (v_budget.user_id IS NULL OR user_id = v_budget.user_id)
                AND (v_budget.api_key_id IS NULL OR api_key_id = v_budget.api_key_id);
    END IF;
    UPDATE billing_budgetperiod SET
        has_gaps = false,
        reserved_nanos = (
            SELECT coalesce(sum(max_nanos), 0) FROM billing_reservation
            WHERE state = 'OPEN' AND v_period_id = ANY (period_ids)
        ),
        spent_nanos = v_spent_nanos + (
            SELECT coalesce(sum(CASE WHEN entry.credit LIKE 'provider:%' THEN entry.amount_nanos ELSE -entry.amount_nanos END), 0)
            FROM billing_ledgerentry AS entry JOIN billing_reservation AS call ON call.id = entry.reservation_id
            WHERE entry.kind = 'TRUE_UP'
                AND call.created_at >= v_starts_at AND (v_ends_at IS NULL OR call.created_at < v_ends_at)
                AND (v_budget.department_id IS NULL OR call.department_id = v_budget.department_id)
                AND (v_budget.user_id IS NULL OR call.user_id = v_budget.user_id)
                AND (v_budget.api_key_id IS NULL OR call.api_key_id = v_budget.api_key_id)
        )
    WHERE id = v_period_id;
END $$;

CREATE FUNCTION billing_budget_switched_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.period, NEW.department_id, NEW.user_id, NEW.api_key_id)
        IS DISTINCT FROM (OLD.period, OLD.department_id, OLD.user_id, OLD.api_key_id) THEN
        RAISE EXCEPTION 'a budget keeps its period and whom it is for: make another one'
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.is_enabled AND (TG_OP = 'INSERT' OR NOT OLD.is_enabled) THEN
        PERFORM billing_open_period_v1(NEW.id, NULL);
    ELSIF TG_OP = 'UPDATE' AND OLD.is_enabled AND NOT NEW.is_enabled THEN
        UPDATE billing_budgetperiod SET has_gaps = true
            WHERE budget_id = NEW.id AND (ends_at IS NULL OR ends_at > clock_timestamp());
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER billing_budget_switched AFTER INSERT OR UPDATE ON billing_budget
    FOR EACH ROW EXECUTE FUNCTION billing_budget_switched_v1();

-- The counters move with each call; room on the page keeps their old versions from spreading.
ALTER TABLE billing_budgetperiod SET (fillfactor = 50);
"""

RESERVE = """
CREATE FUNCTION billing_hold_v1(p_period_id bigint, p_max_nanos bigint, p_thrift smallint, p_at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_period billing_budgetperiod;
    v_limit bigint;
BEGIN
    LOOP
        UPDATE billing_budgetperiod SET reserved_nanos = reserved_nanos + p_max_nanos
            WHERE id = p_period_id
                AND spent_nanos + reserved_nanos + p_max_nanos <= billing_limit_v1(budget_id, p_thrift, p_at);
        IF FOUND THEN
            RETURN;
        END IF;
        -- The figures told are those that refused: they are tested once more while nobody can move them.
        SELECT * INTO STRICT v_period FROM billing_budgetperiod WHERE id = p_period_id FOR UPDATE;
        v_limit := billing_limit_v1(v_period.budget_id, p_thrift, p_at);
        IF v_period.spent_nanos + v_period.reserved_nanos + p_max_nanos > v_limit THEN
            RAISE EXCEPTION 'over budget' USING ERRCODE = 'PB001', DETAIL = json_build_object(
                'budget_id', v_period.budget_id, 'limit_nanos', v_limit, 'spent_nanos', v_period.spent_nanos,
                'hard_limit_nanos', billing_limit_v1(v_period.budget_id, 2::smallint, p_at),
                'reserved_nanos', v_period.reserved_nanos, 'max_nanos', p_max_nanos, 'refills_at', v_period.ends_at
            );
        END IF;
    END LOOP;
END $$;

-- The ids of the budget periods a call counts in, lowest first: everybody locks them in this order.
CREATE FUNCTION billing_periods_v1(p_department_id uuid, p_user_id uuid, p_api_key_id uuid, p_at timestamptz)
RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    v_zone text := (SELECT time_zone FROM billing_book);
    v_day timestamptz := date_trunc('day', p_at AT TIME ZONE v_zone) AT TIME ZONE v_zone;
    v_month timestamptz := date_trunc('month', p_at AT TIME ZONE v_zone) AT TIME ZONE v_zone;
    v_found record;
    v_period_id bigint;
    v_period_ids bigint[] := '{}';
BEGIN
    FOR v_found IN
        SELECT budget.id AS budget_id, budget.period, counted.id AS period_id
        FROM billing_budget AS budget LEFT JOIN billing_budgetperiod AS counted ON counted.budget_id = budget.id
            AND counted.starts_at = CASE budget.period
                WHEN 'DAY' THEN v_day WHEN 'MONTH' THEN v_month ELSE timestamptz '1970-01-01 00:00+00'
            END
        WHERE budget.is_enabled
            AND (budget.user_id = p_user_id OR budget.user_id IS NULL)
            AND (budget.department_id = p_department_id OR budget.department_id IS NULL)
            AND (budget.api_key_id = p_api_key_id OR budget.api_key_id IS NULL)
        ORDER BY budget.id
    LOOP
        v_period_id := v_found.period_id;
        IF v_period_id IS NULL THEN
            INSERT INTO billing_budgetperiod (budget_id, starts_at, ends_at, reserved_nanos, spent_nanos, has_gaps)
                SELECT v_found.budget_id, starts_at, ends_at, 0, 0, false FROM billing_period_v1(v_found.period, p_at)
                ON CONFLICT DO NOTHING;
            SELECT counted.id INTO STRICT v_period_id
                FROM billing_budgetperiod AS counted JOIN billing_period_v1(v_found.period, p_at) USING (starts_at)
                WHERE counted.budget_id = v_found.budget_id;
        END IF;
        v_period_ids := v_period_ids || v_period_id;
    END LOOP;
    IF cardinality(v_period_ids) > 1 THEN
        v_period_ids := ARRAY(SELECT one FROM unnest(v_period_ids) AS one ORDER BY one);
    END IF;
    RETURN v_period_ids;
END $$;

-- The most a call can cost: its input at the dearest of the prices it may turn out to have, its output at its own.
CREATE FUNCTION billing_most_v1(
    p_provider_code text, p_model_code text, p_input_meter text, p_output_meter text, p_max_input bigint,
    p_max_output bigint, p_at timestamptz
) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_plain_input bigint;
    v_input bigint;
    v_plain_output bigint;
    v_output bigint;
BEGIN
    SELECT
        max(nanos) FILTER (WHERE meter = 'INPUT'),
        max(nanos) FILTER (
            WHERE meter = p_input_meter OR (p_input_meter = 'INPUT' AND meter IN ('CACHE_READ', 'CACHE_WRITE'))
        ),
        max(nanos) FILTER (WHERE meter = 'OUTPUT'),
        max(nanos) FILTER (WHERE meter = p_output_meter)
    INTO v_plain_input, v_input, v_plain_output, v_output
    FROM (
        SELECT DISTINCT ON (meter) meter, nanos_per_million_tokens AS nanos FROM billing_price
        WHERE provider_code = p_provider_code AND model_code = p_model_code AND starts_at <= p_at
        ORDER BY meter, starts_at DESC
    ) AS priced;
    IF p_input_meter IN ('INPUT', 'EMBEDDING', 'BATCH_INPUT') THEN
        -- Cached tokens without a price of their own cost the plain one, so that one counts for INPUT too.
        v_input := CASE p_input_meter
            WHEN 'INPUT' THEN greatest(v_input, v_plain_input) ELSE coalesce(v_input, v_plain_input)
        END;
    END IF;
    IF p_output_meter = 'BATCH_OUTPUT' THEN
        v_output := coalesce(v_output, v_plain_output);
    END IF;
    RETURN billing_amount_v2(p_max_input::numeric * coalesce(v_input, 0) + p_max_output::numeric * coalesce(v_output, 0));
END $$;

CREATE FUNCTION billing_reserve_v2(
    p_id uuid, p_request_id uuid, p_attempt smallint, p_user_id uuid, p_department_id uuid, p_api_key_id uuid,
    p_product text, p_conversation_id uuid, p_tags text[], p_purpose text, p_provider_code text, p_model_code text,
    p_max_input bigint, p_max_output bigint, p_input_meter text, p_output_meter text, p_thrift smallint,
    p_lifetime interval, p_at timestamptz
) RETURNS billing_reservation LANGUAGE plpgsql AS $$
DECLARE
    v_at timestamptz;
    v_period_id bigint;
    v_row billing_reservation;
BEGIN
    -- A budget being made locks this table, so no call slips between its first sum and its first day.
    LOCK TABLE billing_reservation IN ROW EXCLUSIVE MODE;
    v_at := coalesce(p_at, clock_timestamp());
    INSERT INTO billing_reservation (
        id, request_id, attempt, user_id, department_id, api_key_id, product, conversation_id, tags, purpose,
        provider_code, model_code, max_nanos, max_input_tokens, max_output_tokens, input_meter, output_meter,
        period_ids, state, is_rolled_up, created_at, expires_at
    ) VALUES (
        p_id, p_request_id, p_attempt, p_user_id, p_department_id, p_api_key_id, p_product, p_conversation_id, p_tags,
        p_purpose, p_provider_code, p_model_code,
        billing_most_v1(
            p_provider_code, p_model_code, p_input_meter, p_output_meter, p_max_input, p_max_output, v_at
        ),
        p_max_input, p_max_output, p_input_meter, p_output_meter,
        billing_periods_v1(p_department_id, p_user_id, p_api_key_id, v_at), 'OPEN', false, v_at, v_at + p_lifetime
    )
    ON CONFLICT (request_id, attempt) DO NOTHING
    RETURNING * INTO v_row;
    IF NOT FOUND THEN
        SELECT * INTO v_row FROM billing_reservation WHERE request_id = p_request_id AND attempt = p_attempt;
        RETURN v_row;
    END IF;
    -- What can cost nothing is never refused.
    IF v_row.max_nanos > 0 THEN
        FOREACH v_period_id IN ARRAY v_row.period_ids LOOP
            PERFORM billing_hold_v1(v_period_id, v_row.max_nanos, p_thrift, v_at);
        END LOOP;
    END IF;
    RETURN v_row;
END $$;
"""

# A repeat finds the reservation settled and returns the first record, whatever it was called with; only the reaper's
# estimate is put right, once, by an entry of its own.
SETTLE = """
CREATE FUNCTION billing_charge_v1(p_period_ids bigint[], p_freed_nanos bigint, p_spent_nanos bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_period_id bigint;
BEGIN
    IF p_freed_nanos = 0 AND p_spent_nanos = 0 THEN
        RETURN;
    END IF;
    FOREACH v_period_id IN ARRAY p_period_ids LOOP
        UPDATE billing_budgetperiod
            SET reserved_nanos = reserved_nanos - p_freed_nanos, spent_nanos = spent_nanos + p_spent_nanos
            WHERE id = v_period_id;
    END LOOP;
END $$;

CREATE FUNCTION billing_true_up_v1(
    p_reservation billing_reservation, p_estimate_nanos bigint, p_amount_nanos bigint, p_at timestamptz
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
    IF FOUND THEN
        PERFORM billing_charge_v1(p_reservation.period_ids, 0, p_amount_nanos - p_estimate_nanos);
    END IF;
END $$;

-- What the provider's own cache saved and cost: what the same tokens would have cost fresh. baseline = actual + saved - overhead.
CREATE FUNCTION billing_provider_cache_v1(
    p_reservation billing_reservation, p_cached_input bigint, p_cache_write bigint, p_total numeric, p_at timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_plain numeric := (billing_price_v2(p_reservation.provider_code, p_reservation.model_code, 'INPUT', p_reservation.created_at)).nanos_per_million_tokens;
    v_read numeric := (billing_price_v2(p_reservation.provider_code, p_reservation.model_code, 'CACHE_READ', p_reservation.created_at)).nanos_per_million_tokens;
    v_write numeric := (billing_price_v2(p_reservation.provider_code, p_reservation.model_code, 'CACHE_WRITE', p_reservation.created_at)).nanos_per_million_tokens;
    v_more numeric := p_cached_input * (v_plain - v_read) + p_cache_write * (v_plain - v_write);
    v_saved bigint;
    v_overhead bigint;
BEGIN
    IF v_plain IS NULL OR (p_cached_input * (v_plain - v_read) = 0 AND p_cache_write * (v_plain - v_write) = 0) THEN
        RETURN;
    END IF;
    v_overhead := billing_amount_v2(greatest(0, p_cache_write * (v_write - v_plain)) + greatest(0, p_cached_input * (v_read - v_plain)));
    -- The baseline is rounded like an amount, so that the identity holds to the nano.
    v_saved := billing_amount_v2(p_total + v_more) - billing_amount_v2(p_total) + v_overhead;
    INSERT INTO billing_saving (
        request_id, attempt, mechanism, department_id, user_id, saved_nanos, overhead_nanos, saved_ms, created_at
    ) VALUES (
        p_reservation.request_id, p_reservation.attempt, 'PROVIDER_CACHE', p_reservation.department_id,
        p_reservation.user_id, greatest(0, v_saved), v_overhead + greatest(0, -v_saved), 0, p_at
    ) ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION billing_settle_v2(
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
        PERFORM billing_true_up_v1(v_reservation, v_record.amount_nanos, v_amount, v_at);
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

CREATE FUNCTION billing_void_v1(p_id uuid, p_at timestamptz) RETURNS billing_reservation LANGUAGE plpgsql AS $$
DECLARE
    v_row billing_reservation;
BEGIN
    UPDATE billing_reservation SET state = 'VOID', settled_at = coalesce(p_at, clock_timestamp())
        WHERE id = p_id AND state = 'OPEN' RETURNING * INTO v_row;
    IF FOUND THEN
        PERFORM billing_charge_v1(v_row.period_ids, v_row.max_nanos, 0);
        RETURN v_row;
    END IF;
    SELECT * INTO v_row FROM billing_reservation WHERE id = p_id;
    IF NOT FOUND OR v_row.state <> 'VOID' THEN
        RAISE EXCEPTION 'there is no open call %', p_id USING ERRCODE = 'no_data_found';
    END IF;
    RETURN v_row;
END $$;
"""

# Checked with the row that names them, not at the end: by then the budget's row is held, and the others wait for it.
FOREIGN_KEYS = """
DO $$
DECLARE
    v_key record;
BEGIN
    FOR v_key IN SELECT conrelid::regclass AS table_name, conname FROM pg_constraint
        WHERE contype = 'f' AND conparentid = 0
            AND conrelid IN ('billing_reservation'::regclass, 'billing_usagerecord'::regclass)
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER CONSTRAINT %I DEFERRABLE INITIALLY IMMEDIATE', v_key.table_name, v_key.conname);
    END LOOP;
END $$;
"""

APPEND_ONLY = """
CREATE TRIGGER billing_ledgerentry_append_only BEFORE UPDATE OR DELETE ON billing_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change_v1();
CREATE TRIGGER billing_saving_append_only BEFORE UPDATE OR DELETE ON billing_saving
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change_v1();
CREATE TRIGGER billing_statement_append_only BEFORE UPDATE OR DELETE ON billing_statement
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change_v1();
CREATE TRIGGER billing_monthclose_append_only BEFORE UPDATE OR DELETE ON billing_monthclose
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change_v1();
CREATE TRIGGER billing_price_append_only BEFORE UPDATE ON billing_price
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change_v1();
CREATE TRIGGER billing_price_kept BEFORE DELETE ON billing_price
    FOR EACH ROW WHEN (OLD.starts_at <= now()) EXECUTE FUNCTION billing_refuse_change_v1();

CREATE FUNCTION billing_book_fixed_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.currency, NEW.time_zone) IS DISTINCT FROM (OLD.currency, OLD.time_zone)
        AND EXISTS (SELECT FROM billing_ledgerentry) THEN
        RAISE EXCEPTION 'the ledger is kept in % and %: it has entries, so both stay', OLD.currency, OLD.time_zone
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER billing_book_fixed BEFORE UPDATE ON billing_book
    FOR EACH ROW EXECUTE FUNCTION billing_book_fixed_v1();
"""

# Calls settled before there was a ledger.
BACKFILL = """
INSERT INTO billing_ledgerentry (
    id, kind, reservation_id, department_id, debit, credit, amount_nanos, booked_at, posted_at, reason
)
SELECT CASE split.kind WHEN 'SETTLEMENT' THEN record.id ELSE gen_random_uuid() END, split.kind, record.id,
    record.department_id, split.account || record.department_id, 'provider:' || record.provider_code, split.nanos,
    record.created_at, coalesce(reservation.settled_at, record.created_at), ''
FROM billing_usagerecord AS record JOIN billing_reservation AS reservation USING (id)
CROSS JOIN LATERAL (VALUES
    ('SETTLEMENT', 'department:', least(record.amount_nanos, reservation.max_nanos)),
    ('EXCESS', 'overdraft:', record.amount_nanos - reservation.max_nanos)
) AS split (kind, account, nanos)
WHERE split.kind = 'SETTLEMENT' OR split.nanos > 0;
"""

UNDO = """
DROP TRIGGER billing_book_fixed ON billing_book;
DROP FUNCTION billing_book_fixed_v1;
DROP TRIGGER billing_price_kept ON billing_price;
DROP TRIGGER billing_price_append_only ON billing_price;
DROP TRIGGER billing_monthclose_append_only ON billing_monthclose;
DROP TRIGGER billing_statement_append_only ON billing_statement;
DROP TRIGGER billing_saving_append_only ON billing_saving;
DROP TRIGGER billing_ledgerentry_append_only ON billing_ledgerentry;
DROP FUNCTION billing_void_v1;
DROP FUNCTION billing_settle_v2;
DROP FUNCTION billing_provider_cache_v1;
DROP FUNCTION billing_true_up_v1;
DROP FUNCTION billing_charge_v1;
DROP FUNCTION billing_reserve_v2;
DROP FUNCTION billing_most_v1;
DROP FUNCTION billing_periods_v1;
DROP FUNCTION billing_hold_v1;
DROP TRIGGER billing_budget_switched ON billing_budget;
DROP FUNCTION billing_budget_switched_v1;
DROP FUNCTION billing_open_period_v1;
DROP FUNCTION billing_limit_v1;
DROP FUNCTION billing_period_v1;
DROP FUNCTION billing_price_v2;
DROP FUNCTION billing_amount_v2;
"""


def open_book(apps, schema_editor):
    """Begin the book as the settings say; until the first entry they may still change."""
    apps.get_model("billing", "Book").objects.get_or_create(
        id=1,
        defaults={"currency": settings.BILLING_CURRENCY, "time_zone": settings.BILLING_TIME_ZONE},
    )


class Migration(migrations.Migration):

    dependencies = [
        ("billing", "0005_money"),
    ]

    operations = [
        migrations.RunPython(open_book, migrations.RunPython.noop),
        migrations.RunSQL(PRICES + BUDGETS + RESERVE + SETTLE + FOREIGN_KEYS + BACKFILL + APPEND_ONLY, UNDO),
    ]
