"""Forks processes that load what they need, wait for each other, and begin at one moment."""

import os
import traceback
from collections.abc import Callable, Sequence

# What a process is to do; it calls its argument once, which returns when all are there.
Work = Callable[[Callable[[], None]], None]


def fork_all(works: Sequence[Work]) -> list[int]:
    """Fork a process for each; return their ids when all have begun."""
    is_there, says_there = os.pipe()
    may_go, says_go = os.pipe()

    def meet() -> None:
        os.write(says_there, b".")
        os.read(may_go, 1)

    children = []
    for work in works:
        child = os.fork()
        if not child:
            # Nothing is sent: all go when the last end to write to is closed.
            os.close(says_go)
            code = 1
            try:
                work(meet)
                code = 0
            except BaseException:  # noqa: BLE001 - the fork ends here, whatever it is
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(child)
    for _child in children:
        os.read(is_there, 1)
    for end in (is_there, says_there, may_go, says_go):
        os.close(end)
    return children


def exit_code(child: int) -> int:
    """Wait for a process's end; return its exit code, negative where a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
