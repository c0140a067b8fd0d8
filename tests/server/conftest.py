"""What the tests of the server share: a server over a fresh home, in which nobody writes yet."""

import pytest

from tests.server.served import asking, parts_of


@pytest.fixture
def parts(home):
    """Over the test's own home."""
    return parts_of(home)


@pytest.fixture
def http(parts):
    """A client of a real server, with the credential."""
    with asking(parts) as client:
        yield client
