"""The URLs of cost."""

from django.urls import path

from apps.billing.views import calls, caps, requests, statements, usage

app_name = "billing"

urlpatterns = [
    path("", usage.usage, name="usage"),
    path("usage.csv", usage.usage_csv, name="usage-csv"),
    path("calls/", calls.calls, name="calls"),
    path("calls.csv", calls.calls_csv, name="calls-csv"),
    path("calls/<uuid:call_id>/", calls.call, name="call"),
    path("budgets/<uuid:budget_id>/ask/", requests.ask, name="ask"),
    path("requests/<uuid:request_id>/", requests.answer, name="request"),
    path("departments/<slug:code>/", usage.department, name="department"),
    path("departments/<slug:code>/usage.csv", usage.department_csv, name="department-csv"),
    path("departments/<slug:code>/calls/", calls.department_calls, name="department-calls"),
    path(
        "departments/<slug:code>/calls.csv", calls.department_calls_csv, name="department-calls-csv"
    ),
    path("departments/<slug:code>/caps/", caps.new_cap, name="new-cap"),
    path("caps/<uuid:budget_id>/", caps.cap, name="cap"),
    path("caps/<uuid:budget_id>/remove/", caps.remove_cap, name="remove-cap"),
    path("statements/<uuid:statement_id>/", statements.statement, name="statement"),
    path("statements/<uuid:statement_id>.csv", statements.statement_csv, name="statement-csv"),
]
