"""Another process of Parley that reads a parameter all the time, and tells each value it comes to see.

Run as `python -m tests.tuning.watcher NAME`, with the test's DATABASE_URL. It writes a line for each change, JSON of
[value, generation, seconds of the monotonic clock], and ends with its standard input.
"""

import json
import sys
import threading
import time

import django


def main() -> None:
    """Read until the input ends."""
    django.setup()
    from apps.tuning import live

    has_ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), has_ended.set()), daemon=True).start()
    tell(live.MAX_AGE_SECONDS)
    seen = None
    while not has_ended.wait(0.002):
        generation, value = live.generation(), live.value(sys.argv[1])
        # Not a value and a generation from two reads.
        if generation == live.generation() and (value, generation) != seen:
            seen = (value, generation)
            tell([value, generation, time.monotonic()])


def tell(what: object) -> None:
    """Write a line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
