"""The embedded chat model as an OpenAI-compatible HTTP server in a process of its own.

Run by the supervisor as `python -m apps.llm.embedded.chat_server`; it imports no Django.
"""

import argparse
import signal
import sys
from pathlib import Path

try:
    import xllamacpp
except ImportError as error:
    # The one part of it that the wheel expects from the system.
    sys.exit(
        f"The chat model's library can't be loaded: {error}. On Debian: apt-get install libgomp1"
    )

from apps.llm.embedded.files import CHAT_MODEL_NAME, chat_model_path

# Four answers at once, each with the context that the model was trained for.
SLOT_COUNT = 4
SLOT_CONTEXT_TOKENS = 2048
# Prompts kept for reuse; the library's default is 8 GB.
PROMPT_CACHE_MIB = 128
LOG_ERRORS_ONLY = 1


def parameters(*, port: int, api_key: str, threads: int) -> xllamacpp.CommonParams:
    """Return the server's parameters: loopback only, one key, a context shared by the slots."""
    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(chat_model_path())
    chosen.model_alias = {CHAT_MODEL_NAME}
    chosen.hostnames = ["127.0.0.1"]
    chosen.port = port
    chosen.api_keys = [api_key]
    chosen.n_parallel = SLOT_COUNT
    chosen.n_ctx = SLOT_COUNT * SLOT_CONTEXT_TOKENS
    chosen.cache_ram_mib = PROMPT_CACHE_MIB
    chosen.cpuparams.n_threads = threads
    chosen.cpuparams_batch.n_threads = threads
    # Waiting threads sleep instead of spinning: web and worker share the processor.
    chosen.cpuparams.poll = 0
    chosen.cpuparams_batch.poll = 0
    chosen.fit_params = False
    chosen.ui = False
    chosen.endpoint_slots = False
    chosen.verbosity = LOG_ERRORS_ONLY
    return chosen


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    # Blocked before the server starts its threads, which inherit the mask; taken by sigwait.
    stop_signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    api_key = arguments.key_file.read_text().strip()
    server = xllamacpp.Server(
        parameters(port=arguments.port, api_key=api_key, threads=arguments.threads)
    )
    signal.sigwait(stop_signals)
    del server


if __name__ == "__main__":
    main()
