"""How static files get their hashed names, also those that one script imports from another, and how long they are kept."""

from collections.abc import MutableMapping

from servestatic.storage import CompressedManifestStaticFilesStorage

YEAR_SECONDS = 365 * 24 * 3600
# One under its plain name may be another tomorrow.
UNHASHED_SECONDS = 60
IMMUTABLE = f"public, max-age={YEAR_SECONDS}, s-maxage={YEAR_SECONDS}, immutable"


class HashedStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # no types
    """Hashed, compressed files; an upgrade never mixes an old cached module with a new one."""

    support_js_module_import_aggregation = True
    # One pass for each step of the longest chain of imports; a cycle would never come to an end.
    max_post_process_passes = 12


def add_headers(headers: MutableMapping[str, str], path: str, url: str) -> None:
    """Let browsers and shared caches keep a file for a year where its name is its content's; ServeStatic calls this."""
    if "immutable" in headers.get("Cache-Control", ""):
        headers["Cache-Control"] = IMMUTABLE
