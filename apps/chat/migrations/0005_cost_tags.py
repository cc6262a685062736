"""The tags by which a conversation's cost is told apart."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0004_outbox"),
    ]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="cost_tags",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=40), default=list, size=None, verbose_name="cost tags"
            ),
        ),
    ]
