"""The browser of the page tests here."""

from tests.browsing import browser as browser
from tests.browsing import connections_returned as connections_returned
