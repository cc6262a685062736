#!/usr/bin/env python
"""Parley's command line: `up` runs it all, the rest are Django's commands."""

import sys

from project.supervisor import environment, up


def main() -> None:
    """Run the command given on the command line."""
    if sys.argv[1:] == ["up"]:
        # Before Django is loaded: the supervisor starts at once and stays small.
        sys.exit(up.run())
    environment.prepare(sys.argv)
    from django.core.management import execute_from_command_line  # noqa: PLC0415 - as above

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
