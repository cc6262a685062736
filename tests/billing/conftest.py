"""The browser and the server of the page tests here; one server for all of them."""

from tests.browsing import browser as browser
from tests.browsing import connections_returned as connections_returned
from tests.browsing import server as server
