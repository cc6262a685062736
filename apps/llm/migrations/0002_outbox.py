"""Changes of providers, models and routes reach the caches through the outbox."""

from django.db import migrations

from apps.caching.triggers import Invalidates, outbox_triggers

ROUTE = "llm:route:1"


class Migration(migrations.Migration):
    dependencies = [
        ("llm", "0001_initial"),
        ("caching", "0001_initial"),
    ]

    operations = [
        outbox_triggers("llm_route", [Invalidates(ROUTE, "SELECT ARRAY[use::text] FROM changed")]),
        outbox_triggers(
            "llm_llmmodel",
            [
                Invalidates(
                    ROUTE,
                    "SELECT ARRAY[r.use::text] FROM changed c JOIN llm_route r ON r.llm_model_id = c.id",
                )
            ],
        ),
        outbox_triggers(
            "llm_provider",
            [
                Invalidates(
                    ROUTE,
                    "SELECT ARRAY[r.use::text] FROM changed c JOIN llm_llmmodel m ON m.provider_id = c.id"
                    " JOIN llm_route r ON r.llm_model_id = m.id",
                )
            ],
        ),
    ]
