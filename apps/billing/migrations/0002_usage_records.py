"""The table of usage records: partitioned by month, append-only. Django can't make it, so its state is given apart."""

import django.contrib.postgres.indexes
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

TABLE = """
CREATE TABLE billing_usagerecord (
    id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    request_id uuid NOT NULL,
    attempt smallint NOT NULL,
    user_id uuid REFERENCES accounts_user (id) DEFERRABLE INITIALLY DEFERRED,
    department_id uuid NOT NULL REFERENCES accounts_department (id) DEFERRABLE INITIALLY DEFERRED,
    purpose varchar(20) NOT NULL,
    outcome varchar(10) NOT NULL,
    provider_code varchar(60) NOT NULL,
    model_code varchar(120) NOT NULL,
    input_tokens bigint NOT NULL CHECK (input_tokens >= 0),
    cached_input_tokens bigint NOT NULL CHECK (cached_input_tokens >= 0),
    cache_write_tokens bigint NOT NULL CHECK (cache_write_tokens >= 0),
    output_tokens bigint NOT NULL CHECK (output_tokens >= 0),
    is_estimated boolean NOT NULL,
    amount_nanos bigint NOT NULL CHECK (amount_nanos >= 0),
    price_ids jsonb NOT NULL,
    elapsed_ms integer NOT NULL,
    PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);

CREATE INDEX usage_department ON billing_usagerecord (department_id, created_at);
CREATE INDEX usage_created_brin ON billing_usagerecord USING brin (created_at);
CREATE TABLE billing_usagerecord_default PARTITION OF billing_usagerecord DEFAULT;
"""

APPEND_ONLY = """
CREATE FUNCTION billing_refuse_change_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: corrections are new rows', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER billing_usagerecord_append_only
    BEFORE UPDATE OR DELETE ON billing_usagerecord
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change_v1();
"""

# Rows of a month that had no partition yet are in the default one; they move, since PostgreSQL refuses a partition
# whose rows the default holds. Detached, the default has no trigger, so its moved rows can be deleted.
PARTITIONS = """
CREATE FUNCTION billing_make_partition_v1(p_month date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_starts_at timestamptz := date_trunc('month', p_month::timestamp) AT TIME ZONE 'UTC';
    v_ends_at timestamptz := (date_trunc('month', p_month::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
    v_name text := 'billing_usagerecord_' || to_char(p_month, 'YYYY_MM');
    v_is_waiting boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('billing_make_partition'));
    IF to_regclass(v_name) IS NOT NULL THEN
        RETURN false;
    END IF;
    SELECT EXISTS (
        SELECT FROM billing_usagerecord_default WHERE created_at >= v_starts_at AND created_at < v_ends_at
    ) INTO v_is_waiting;
    IF v_is_waiting THEN
        ALTER TABLE billing_usagerecord DETACH PARTITION billing_usagerecord_default;
    END IF;
    EXECUTE format(
        'CREATE TABLE %I PARTITION OF billing_usagerecord FOR VALUES FROM (%L) TO (%L)',
        v_name, v_starts_at, v_ends_at
    );
    IF v_is_waiting THEN
        INSERT INTO billing_usagerecord SELECT * FROM billing_usagerecord_default
            WHERE created_at >= v_starts_at AND created_at < v_ends_at;
        DELETE FROM billing_usagerecord_default WHERE created_at >= v_starts_at AND created_at < v_ends_at;
        ALTER TABLE billing_usagerecord ATTACH PARTITION billing_usagerecord_default DEFAULT;
    END IF;
    RETURN true;
END $$;

SELECT billing_make_partition_v1((date_trunc('month', now() AT TIME ZONE 'UTC') + ahead * interval '1 month')::date)
FROM generate_series(0, 3) AS ahead;
"""

UNDO = """
DROP FUNCTION billing_make_partition_v1(date);
DROP TABLE billing_usagerecord;
DROP FUNCTION billing_refuse_change_v1();
"""


class Migration(migrations.Migration):

    dependencies = [
        ("billing", "0001_initial"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(TABLE + APPEND_ONLY + PARTITIONS, UNDO),
            ],
            state_operations=[
                migrations.CreateModel(
                    name='UsageRecord',
                    fields=[
                        ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                        ('created_at', models.DateTimeField(verbose_name='at')),
                        ('request_id', models.UUIDField(verbose_name='request')),
                        ('attempt', models.PositiveSmallIntegerField(verbose_name='attempt')),
                        ('purpose', models.CharField(choices=[('ANSWER', 'Answer'), ('QUERY_EMBEDDING', 'Embedding of a question'), ('DOCUMENT_EMBEDDING', 'Embedding of documents'), ('TITLE', 'Title'), ('PING', 'Check by an operator'), ('EVALUATION', 'Evaluation')], max_length=20, verbose_name='purpose')),
                        ('outcome', models.CharField(choices=[('COMPLETED', 'Completed'), ('CANCELLED', 'Stopped'), ('FAILED', 'Failed'), ('ESTIMATED', 'Lost: usage estimated')], max_length=10, verbose_name='outcome')),
                        ('provider_code', models.CharField(max_length=60, verbose_name='provider')),
                        ('model_code', models.CharField(max_length=120, verbose_name='model')),
                        ('input_tokens', models.BigIntegerField(verbose_name='fresh input tokens')),
                        ('cached_input_tokens', models.BigIntegerField(verbose_name='cached input tokens')),
                        ('cache_write_tokens', models.BigIntegerField(verbose_name='cache write tokens')),
                        ('output_tokens', models.BigIntegerField(verbose_name='output tokens')),
                        ('is_estimated', models.BooleanField(help_text='The provider reported no usage: Parley counted the tokens itself.', verbose_name='counted here')),
                        ('amount_nanos', models.BigIntegerField(verbose_name='amount')),
                        ('price_ids', models.JSONField(help_text='Price row by meter; absent: no price was set.', verbose_name='price rows')),
                        ('elapsed_ms', models.IntegerField(verbose_name='duration')),
                        ('department', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.department')),
                        ('user', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ],
                    options={
                        'verbose_name': 'usage record',
                        'verbose_name_plural': 'usage records',
                        'indexes': [models.Index(fields=['department', 'created_at'], name='usage_department'), django.contrib.postgres.indexes.BrinIndex(fields=['created_at'], name='usage_created_brin')],
                    },
                ),
            ],
        ),
    ]
