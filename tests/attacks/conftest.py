"""A box's surroundings, as its own tests have them."""

from tests.devices.agent.conftest import clock, make_sound, media, site  # noqa: F401 - fixtures
