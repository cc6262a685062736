"""Changes of prices reach the price book through the outbox."""

from django.db import migrations

from apps.caching.triggers import Invalidates, outbox_triggers


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0003_reserve_and_settle"),
        ("caching", "0001_initial"),
    ]

    operations = [
        outbox_triggers(
            "billing_price",
            [
                Invalidates(
                    "billing:price-book:1",
                    "SELECT ARRAY[provider_code::text, model_code::text] FROM changed",
                )
            ],
        ),
    ]
