"""A budget that is made sums its calls from the totals: no call can be opened while it does. Versioned: never edited."""

from django.db import migrations

# As in version 1 of migration 0006 but for the sum: what a budget of all time, or of a month, begins with is in the
# totals by month and in the calls that still wait for them, read as of one moment. Totals outlive usage records.
OPEN_PERIOD = """
CREATE FUNCTION billing_spent_v1(p_budget billing_budget, p_starts_at timestamptz, p_ends_at timestamptz)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_nanos numeric;
BEGIN
    IF p_budget.period = 'DAY' THEN
        SELECT sum(amount_nanos) INTO v_nanos FROM billing_usagerecord
            WHERE created_at >= p_starts_at AND created_at < p_ends_at
                AND (p_budget.department_id IS NULL OR department_id = p_budget.department_id)
                AND (p_budget.user_id IS NULL OR user_id = p_budget.user_id)
                AND (p_budget.api_key_id IS NULL OR api_key_id = p_budget.api_key_id);
    ELSE
        SELECT sum(nanos) INTO v_nanos FROM (
            SELECT amount_nanos AS nanos FROM billing_monthlycost
                WHERE p_budget.user_id IS NULL
                    AND starts_at >= p_starts_at AND (p_ends_at IS NULL OR starts_at < p_ends_at)
                    AND (p_budget.department_id IS NULL OR department_id = p_budget.department_id)
                    AND (p_budget.api_key_id IS NULL OR api_key_id = p_budget.api_key_id)
            UNION ALL
            SELECT amount_nanos FROM billing_personmonthlycost
                WHERE user_id = p_budget.user_id
                    AND starts_at >= p_starts_at AND (p_ends_at IS NULL OR starts_at < p_ends_at)
                    AND (p_budget.department_id IS NULL OR department_id = p_budget.department_id)
                    AND (p_budget.api_key_id IS NULL OR api_key_id = p_budget.api_key_id)
            UNION ALL
            SELECT entry.amount_nanos
            FROM billing_reservation AS waiting CROSS JOIN LATERAL (
                SELECT amount_nanos FROM billing_ledgerentry AS entry
                WHERE entry.reservation_id = waiting.id AND entry.kind IN ('SETTLEMENT', 'EXCESS') OFFSET 0
            ) AS entry
            WHERE waiting.state = 'SETTLED' AND NOT waiting.is_rolled_up
                AND waiting.created_at >= p_starts_at AND (p_ends_at IS NULL OR waiting.created_at < p_ends_at)
                AND (p_budget.department_id IS NULL OR waiting.department_id = p_budget.department_id)
                AND (p_budget.user_id IS NULL OR waiting.user_id = p_budget.user_id)
                AND (p_budget.api_key_id IS NULL OR waiting.api_key_id = p_budget.api_key_id)
        ) AS costs;
    END IF;
    RETURN coalesce(v_nanos, 0);
END $$;

CREATE FUNCTION billing_open_period_v2(p_budget_id uuid, p_at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_budget billing_budget;
    v_starts_at timestamptz;
    v_ends_at timestamptz;
    v_period_id bigint;
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
    UPDATE billing_budgetperiod SET
        has_gaps = false,
        reserved_nanos = (
            SELECT coalesce(sum(max_nanos), 0) FROM billing_reservation
            WHERE state = 'OPEN' AND v_period_id = ANY (period_ids)
        ),
        spent_nanos = billing_spent_v1(v_budget, v_starts_at, v_ends_at) + (
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

CREATE FUNCTION billing_budget_switched_v2() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.period, NEW.department_id, NEW.user_id, NEW.api_key_id)
        IS DISTINCT FROM (OLD.period, OLD.department_id, OLD.user_id, OLD.api_key_id) THEN
        RAISE EXCEPTION 'a budget keeps its period and whom it is for: make another one'
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.is_enabled AND (TG_OP = 'INSERT' OR NOT OLD.is_enabled) THEN
        PERFORM billing_open_period_v2(NEW.id, NULL);
    ELSIF TG_OP = 'UPDATE' AND OLD.is_enabled AND NOT NEW.is_enabled THEN
        UPDATE billing_budgetperiod SET has_gaps = true
            WHERE budget_id = NEW.id AND (ends_at IS NULL OR ends_at > clock_timestamp());
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER billing_budget_switched ON billing_budget;
CREATE TRIGGER billing_budget_switched AFTER INSERT OR UPDATE ON billing_budget
    FOR EACH ROW EXECUTE FUNCTION billing_budget_switched_v2();
"""

UNDO = """
DROP TRIGGER billing_budget_switched ON billing_budget;
CREATE TRIGGER billing_budget_switched AFTER INSERT OR UPDATE ON billing_budget
    FOR EACH ROW EXECUTE FUNCTION billing_budget_switched_v1();
DROP FUNCTION billing_budget_switched_v2;
DROP FUNCTION billing_open_period_v2;
DROP FUNCTION billing_spent_v1;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0012_saving_months"),
    ]

    operations = [
        migrations.RunSQL(OPEN_PERIOD, UNDO),
    ]
