"""Where a cached read found its value."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Level(models.IntegerChoices):
    """The level that answered a read."""

    L1 = 1, _("Process memory")
    L2 = 2, _("Valkey")
    MISS = 3, _("Computed")
    BYPASS = 4, _("Computed past the cache")
    STALE = 5, _("Old value, since computing failed")
