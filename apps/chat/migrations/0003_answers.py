"""Answers kept for later askers, their labels, and the removal of withdrawn ones from the exact cache."""

import apps.core.ids
import django.contrib.postgres.fields
import django.utils.timezone
import pgvector.django.halfvec
from django.db import migrations, models

from apps.caching.triggers import Invalidates, outbox_triggers

WITHDRAWN = "SELECT ARRAY[scope_hash, context_hash, question_hash]::text[] FROM changed WHERE quarantined_at IS NOT NULL"


class Migration(migrations.Migration):

    dependencies = [
        ('caching', '0001_initial'),
        ('chat', '0002_search'),
    ]

    operations = [
        migrations.CreateModel(
            name='AnswerLabel',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('entry_id', models.UUIDField(verbose_name='entry')),
                ('llm_model_id', models.UUIDField(verbose_name='embedding model')),
                ('similarity', models.FloatField(verbose_name='similarity')),
                ('is_correct', models.BooleanField(verbose_name='right')),
                ('source', models.CharField(choices=[('MISS', 'Compared with the answer computed instead'), ('SHADOW', 'Checked although it could have been given'), ('THUMB', 'Judged by a person')], max_length=6, verbose_name='source')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='at')),
            ],
            options={
                'verbose_name': 'label of a kept answer',
                'verbose_name_plural': 'labels of kept answers',
                'indexes': [models.Index(fields=['entry_id', '-created_at'], name='answer_label_entry'), models.Index(fields=['-created_at'], name='answer_label_created')],
            },
        ),
        migrations.CreateModel(
            name='CachedAnswer',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('scope_hash', models.CharField(max_length=32, verbose_name='scope')),
                ('context_hash', models.CharField(max_length=32, verbose_name='made under')),
                ('question_hash', models.CharField(max_length=32, verbose_name="question's hash")),
                ('question', models.TextField(verbose_name='question')),
                ('llm_model_id', models.UUIDField(null=True, verbose_name='embedding model')),
                ('vector', pgvector.django.halfvec.HalfVectorField(null=True, verbose_name='vector')),
                ('answer', models.JSONField(verbose_name='answer')),
                ('document_ids', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), size=None, verbose_name='documents')),
                ('version_ids', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), size=None, verbose_name='versions')),
                ('epoch', models.BigIntegerField(default=0, verbose_name='purges before')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='answered')),
                ('hit_count', models.PositiveIntegerField(default=0, verbose_name='given again by meaning')),
                ('expected_errors', models.FloatField(default=0, verbose_name='errors expected')),
                ('last_hit_at', models.DateTimeField(null=True, verbose_name='last given again')),
                ('quarantined_at', models.DateTimeField(null=True, verbose_name='withdrawn')),
            ],
            options={
                'verbose_name': 'kept answer',
                'verbose_name_plural': 'kept answers',
                'indexes': [models.Index(fields=['created_at'], name='answer_created'), models.Index(condition=models.Q(('quarantined_at__isnull', True), ('vector__isnull', False)), fields=['scope_hash', 'context_hash', '-created_at'], name='answer_nearest')],
                'constraints': [models.UniqueConstraint(fields=('scope_hash', 'context_hash', 'question_hash'), name='answer_kept_once')],
            },
        ),
        outbox_triggers("chat_cachedanswer", [Invalidates("chat:answer:1", WITHDRAWN)]),
    ]
