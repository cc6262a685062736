"""How static files get their hashed names: also those that one script imports from another."""

from servestatic.storage import CompressedManifestStaticFilesStorage


class HashedStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # no types
    """Hashed, compressed files; an upgrade never mixes an old cached module with a new one."""

    support_js_module_import_aggregation = True
    # One pass for each step of the longest chain of imports; a cycle would never come to an end.
    max_post_process_passes = 12
