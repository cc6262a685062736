"""What an operator may turn about cost totals, their upkeep, budgets and alarms while everything runs."""

from django.utils.translation import gettext_noop as _

from apps.tuning.registry import Parameter, register

register(
    Parameter(
        name="billing.rollup_batch_size",
        default=2000,
        minimum=1,
        maximum=50_000,
        unit=_("calls"),
        help_text=_(
            "Settled calls added to the totals in one transaction. Large: less work in all; small: less lost time "
            "when a worker is killed in the middle."
        ),
        moves=_("load of adding up"),
    ),
    Parameter(
        name="billing.rollup_window_seconds",
        default=10,
        minimum=0,
        maximum=3600,
        unit=_("seconds"),
        help_text=_(
            "How long a settled call may wait for its batch to fill. Cost pages add what waits by themselves, so they "
            "are right in any case, and slower the more waits."
        ),
        moves=_("load of adding up, speed of cost pages"),
    ),
    Parameter(
        name="billing.detail_retention_months",
        default=0,
        minimum=0,
        maximum=120,
        unit=_("months"),
        help_text=_(
            "Full months before this one whose single calls are kept; 0 keeps all. Older ones are removed only where "
            "the month is closed and its totals agree with its calls; totals, statements and ledger stay."
        ),
        moves=_("size of the database, how far back a figure can be followed to its calls"),
    ),
)

register(
    Parameter(
        name="billing.alert_first_percent",
        default=50,
        minimum=1,
        maximum=100,
        unit=_("% of the limit"),
        help_text=_(
            "At this share of a budget's limit the people it concerns are told for the first time, once a period."
        ),
        moves=_("budget alerts"),
    ),
    Parameter(
        name="billing.alert_second_percent",
        default=80,
        minimum=1,
        maximum=100,
        unit=_("% of the limit"),
        help_text=_("At this share they are told again."),
        moves=_("budget alerts"),
    ),
    Parameter(
        name="billing.alert_last_percent",
        default=100,
        minimum=1,
        maximum=100,
        unit=_("% of the limit"),
        help_text=_(
            "At this share, or when what is left is less than a usual call may cost, they are told that calls are being "
            "refused; of a person's budget the heads are told, too."
        ),
        moves=_("budget alerts"),
    ),
    Parameter(
        name="billing.alert_overrun_probability",
        default=0.8,
        minimum=0.5,
        maximum=0.99,
        unit=_("probability"),
        help_text=_(
            "When a department's month is forecast to pass its limit at least this likely, its heads are told, once."
        ),
        moves=_("budget alerts"),
    ),
    Parameter(
        name="billing.anomaly_alarms_per_week",
        default=3.0,
        minimum=0.1,
        maximum=100.0,
        unit=_("alarms a week"),
        help_text=_(
            "How many times a week, over all departments together, chance alone may raise an hour's cost as unexpected. "
            "More finds smaller spikes, and is wrong more often."
        ),
        moves=_("cost anomalies"),
    ),
    Parameter(
        name="billing.anomaly_least_excess",
        default=1.0,
        minimum=0.0,
        maximum=100_000.0,
        unit=_("currency"),
        help_text=_("Cost this little above what was expected is never raised."),
        moves=_("cost anomalies"),
    ),
    Parameter(
        name="billing.anomaly_least_budget_percent",
        default=0.5,
        minimum=0.0,
        maximum=100.0,
        unit=_("% of the month's budget"),
        help_text=_(
            "Nor is cost above what was expected by less than this share of the department's budget for the month."
        ),
        moves=_("cost anomalies"),
    ),
    Parameter(
        name="billing.anomaly_hour_percent",
        default=5.0,
        minimum=0.1,
        maximum=100.0,
        unit=_("% of the month's budget"),
        help_text=_(
            "An hour that costs this share of the department's budget for the month is raised, however usual it is. In a "
            "department's first three weeks this alone looks at its hours."
        ),
        moves=_("cost anomalies"),
    ),
    Parameter(
        name="billing.anomaly_person_percent",
        default=50.0,
        minimum=5.0,
        maximum=100.0,
        unit=_("% of the day's cost"),
        help_text=_(
            "A day is raised when one person made more than this of a department's cost, and had not in the four weeks "
            "before. Departments with fewer than three people who ask are left out."
        ),
        moves=_("cost anomalies"),
    ),
)
