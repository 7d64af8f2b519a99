"""A box's surroundings, as its own tests have them."""

from tests.attacks.street import sound, street  # noqa: F401 - fixtures
from tests.devices.agent.conftest import clock, make_sound, media, site  # noqa: F401 - fixtures
