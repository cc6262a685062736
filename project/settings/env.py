"""The reader of environment variables; `NAME_FILE` is read as a file holding the value of `NAME`."""

from pathlib import Path

from environ import FileAwareEnv

BASE_DIR = Path(__file__).resolve().parent.parent.parent

env = FileAwareEnv()
