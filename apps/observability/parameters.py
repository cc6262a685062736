"""What operators tune of observing."""

from django.utils.translation import gettext_noop as _

from apps.tuning.registry import Parameter, register

register(
    Parameter(
        name="observability.profiling_ratio",
        default=0.0,
        minimum=0.0,
        maximum=1.0,
        unit=_("share of requests"),
        help_text=_(
            "Share of requests recorded by silk at /silk/. A recorded request takes about twice its time; "
            "streams are never recorded. 0 switches it off."
        ),
        moves=_("request time"),
    ),
)
