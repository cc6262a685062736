"""When people were written to about a request for more of a budget, and about its answer."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("billing", "0010_smaller_totals"),
    ]

    operations = [
        migrations.AddField(
            model_name="budgetrequest",
            name="asking_emailed_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="asking e-mailed"),
        ),
        migrations.AddField(
            model_name="budgetrequest",
            name="answer_emailed_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="answer e-mailed"),
        ),
    ]
