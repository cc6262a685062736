"""Providers, their models, and the routes that choose one for a purpose."""

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.core.ids import uuid7
from apps.llm.fields import EncryptedTextField
from apps.llm.validators import validate_base_url


class Provider(models.Model):
    """An OpenAI-compatible endpoint."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = models.SlugField(
        _("code"),
        max_length=60,
        unique=True,
        help_text=_(
            "Names the provider in prices and usage; never changes. Imported prices use: openai, mistral …"
        ),
    )
    name = models.CharField(_("name"), max_length=120, help_text=_("Shown to people."))
    # Not a URLField: that one refuses names without a dot, which are what containers have.
    base_url = models.CharField(
        _("base URL"),
        max_length=300,
        validators=[validate_base_url],
        help_text=_("Up to and including /v1; https, or http within the private network."),
    )
    secret = EncryptedTextField(
        _("API key"),
        blank=True,
        default="",
        help_text=_("Encrypted at rest and never shown again. Leave empty to keep what is stored."),
    )
    connect_timeout_seconds = models.FloatField(
        _("connect timeout"),
        default=5.0,
        validators=[MinValueValidator(0.1)],
        help_text=_("Seconds to reach the endpoint before the call fails."),
    )
    read_timeout_seconds = models.FloatField(
        _("read timeout"),
        default=60.0,
        validators=[MinValueValidator(0.1)],
        help_text=_("Seconds of silence, before or between tokens, after which the call fails."),
    )
    is_enabled = models.BooleanField(
        _("on"), default=True, help_text=_("Off: none of its models is used.")
    )

    class Meta:
        verbose_name = _("provider")
        verbose_name_plural = _("providers")

    def __str__(self) -> str:
        return self.name


class LLMModel(models.Model):
    """One model of a provider."""

    class Kind(models.TextChoices):
        CHAT = "CHAT", _("Chat")
        EMBEDDING = "EMBEDDING", _("Embedding")

    class Grounding(models.TextChoices):
        SENTENCES = "SENTENCES", _("Best sentences (weak model)")
        PASSAGES = "PASSAGES", _("Whole passages (strong model)")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    provider = models.ForeignKey(
        Provider, on_delete=models.CASCADE, related_name="llm_models", help_text=_("Who serves it.")
    )
    code = models.CharField(
        _("code"), max_length=120, help_text=_("The name the provider knows it by.")
    )
    name = models.CharField(
        _("name"), max_length=120, help_text=_("Shown to people, on receipts for one.")
    )
    kind = models.CharField(
        _("kind"), max_length=10, choices=Kind.choices, help_text=_("What it is for.")
    )
    grounding = models.CharField(
        _("grounding"),
        max_length=10,
        choices=Grounding.choices,
        default=Grounding.PASSAGES,
        help_text=_(
            "What a chat model is given of the documents: weak models answer better from a few sentences."
        ),
    )
    context_tokens = models.PositiveIntegerField(
        _("context size"),
        default=8192,
        help_text=_("Tokens of input and output together it can take."),
    )
    max_output_tokens = models.PositiveIntegerField(
        _("longest answer"),
        default=1024,
        help_text=_("Tokens; the answer is cut there. Bounds what a call can cost."),
    )
    dimensions = models.PositiveIntegerField(
        _("dimensions"),
        null=True,
        blank=True,
        help_text=_("Length of the vectors of an embedding model; else empty."),
    )
    is_enabled = models.BooleanField(_("on"), default=True, help_text=_("Off: routes pass it by."))

    class Meta:
        verbose_name = _("model")
        verbose_name_plural = _("models")
        constraints = (
            models.UniqueConstraint(fields=("provider", "code"), name="llm_model_once"),
            models.CheckConstraint(
                name="llm_model_dimensions",
                condition=Q(kind="CHAT") | Q(dimensions__isnull=False, dimensions__gt=0),
            ),
        )

    def __str__(self) -> str:
        return self.name


class Route(models.Model):
    """Which model serves a purpose: the enabled one of the lowest priority number."""

    class Use(models.TextChoices):
        ANSWER = "ANSWER", _("Answers")
        EMBEDDING = "EMBEDDING", _("Embeddings")

    use = models.CharField(
        _("use"), max_length=10, choices=Use.choices, help_text=_("What is being routed.")
    )
    priority = models.PositiveSmallIntegerField(
        _("priority"), default=100, help_text=_("The lowest number that is on wins.")
    )
    llm_model = models.ForeignKey(
        LLMModel,
        on_delete=models.CASCADE,
        related_name="routes",
        verbose_name=_("model"),
        help_text=_("The model to use."),
    )
    is_enabled = models.BooleanField(
        _("on"), default=True, help_text=_("Off: the next route is tried.")
    )

    class Meta:
        verbose_name = _("route")
        verbose_name_plural = _("routes")
        constraints = (
            models.UniqueConstraint(fields=("use", "priority"), name="route_priority_once"),
        )

    def __str__(self) -> str:
        return f"{self.use} {self.priority}: {self.llm_model}"

    @property
    def is_usable(self) -> bool:
        """Say whether the route, its model and its provider are all on."""
        return self.is_enabled and self.llm_model.is_enabled and self.llm_model.provider.is_enabled
