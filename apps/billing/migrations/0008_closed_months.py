"""Nothing is opened or booked in a month that is closed, nor before it; late usage counts in the open month."""

from django.db import migrations

# A usage record is only ever written together with its SETTLEMENT entry, so the ledger's trigger keeps it out too.
#
# The triggers fire only where the row's quarter of an hour is over by the clock: no month of any time zone starts
# within one, and a call opened or an entry booked now costs one comparison. The lock is the other half of closing,
# which holds it until the close can be seen: a late booking either is on the statement or finds the month closed.
TRIGGERS = """
CREATE FUNCTION billing_is_closed_v1(p_at timestamptz) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_zone text := (SELECT time_zone FROM billing_book);
BEGIN
    IF p_at >= date_trunc('month', clock_timestamp() AT TIME ZONE v_zone) AT TIME ZONE v_zone THEN
        RETURN false;
    END IF;
    LOCK TABLE billing_monthclose IN ROW SHARE MODE;
    RETURN EXISTS (SELECT FROM billing_monthclose WHERE ends_at > p_at);
END $$;

CREATE FUNCTION billing_refuse_late_call_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF billing_is_closed_v1(NEW.created_at) THEN
        RAISE EXCEPTION 'the month of % is closed: no call is opened in it', NEW.created_at
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER billing_reservation_open_month BEFORE INSERT ON billing_reservation FOR EACH ROW
    WHEN (date_bin('15 minutes', NEW.created_at, timestamptz '2000-01-01 00:00+00')
        < date_bin('15 minutes', clock_timestamp(), timestamptz '2000-01-01 00:00+00'))
    EXECUTE FUNCTION billing_refuse_late_call_v1();

CREATE FUNCTION billing_refuse_late_entry_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF billing_is_closed_v1(NEW.booked_at) THEN
        -- What a provider reports after the estimate is never refused: it is money, and the open month's.
        IF NEW.kind <> 'TRUE_UP' THEN
            RAISE EXCEPTION 'the month of % is closed: corrections are entries in the open month', NEW.booked_at
                USING ERRCODE = 'restrict_violation';
        END IF;
        NEW.booked_at := clock_timestamp();
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER billing_ledgerentry_open_month BEFORE INSERT ON billing_ledgerentry FOR EACH ROW
    WHEN (date_bin('15 minutes', NEW.booked_at, timestamptz '2000-01-01 00:00+00')
        < date_bin('15 minutes', clock_timestamp(), timestamptz '2000-01-01 00:00+00'))
    EXECUTE FUNCTION billing_refuse_late_entry_v1();
"""

UNDO = """
DROP TRIGGER billing_ledgerentry_open_month ON billing_ledgerentry;
DROP FUNCTION billing_refuse_late_entry_v1;
DROP TRIGGER billing_reservation_open_month ON billing_reservation;
DROP FUNCTION billing_refuse_late_call_v1;
DROP FUNCTION billing_is_closed_v1;
"""


class Migration(migrations.Migration):

    dependencies = [
        ("billing", "0007_rollups"),
    ]

    operations = [
        migrations.RunSQL(TRIGGERS, UNDO),
    ]
