"""Rebuilds the demo files: `python -m project.demo.builder`."""

from project.demo.builder.build import build_files
from project.demo.manifest import FILES_DIR

if __name__ == "__main__":
    build_files(FILES_DIR)
