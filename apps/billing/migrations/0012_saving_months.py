"""Sums of savings by month: the year on the page of savings is read from them."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_api_key"),
        ("billing", "0011_request_mail"),
    ]

    operations = [
        migrations.CreateModel(
            name="SavingMonth",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("starts_at", models.DateTimeField(verbose_name="from")),
                ("mechanism", models.CharField(max_length=14, verbose_name="thanks to")),
                ("request_count", models.IntegerField(verbose_name="requests")),
                ("saved_nanos", models.BigIntegerField(verbose_name="saved")),
                ("overhead_nanos", models.BigIntegerField(verbose_name="cost of saving it")),
                ("saved_ms", models.BigIntegerField(verbose_name="time saved")),
                ("checked_count", models.IntegerField(verbose_name="checked")),
                ("claimed_nanos", models.BigIntegerField(verbose_name="claimed of these")),
                ("real_nanos", models.BigIntegerField(verbose_name="real cost of these")),
                (
                    "department",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.department",
                    ),
                ),
            ],
            options={
                "verbose_name": "savings of a month",
                "verbose_name_plural": "savings of months",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("starts_at", "department", "mechanism"), name="saving_month_once"
                    )
                ],
            },
        ),
    ]
