"""The browser of the page tests here, and the owner's page in it."""

from tests.browsing import browser as browser
from tests.browsing import connections_returned as connections_returned
from tests.browsing import page as page
