"""The settings of a replay's servers: the tests', with the access log on, and only errors said."""

import logging

import structlog

from tests.caching.flushing_settings import *  # noqa: F403 - a settings module layers on its base

ACCESS_LOG_FLUSH_SECONDS = 0.5
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
