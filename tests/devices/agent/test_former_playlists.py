"""What is said of slots that a newer playlist no longer covers, and that passed while the time was not known."""

from pathlib import Path

from devices.agent.conduct.playlists import Shelf
from devices.messages import Outcome, RenditionReference
from tests.devices.agent.conftest import Site, playlist, running, slot
from tests.devices.agent.paper import A, Box, second

DAY = 86_400.0


@running
async def test_a_slot_that_passed_while_the_time_was_not_known_is_told_after_the_next_playlist(
    site: Site, tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path / "playlist.jws", site.pinned)
    file = RenditionReference(digest=A, size_bytes=1, duration=30.0, url="/a")
    bulletin, later = slot("bulletin", second(60), (A, 30.0)), slot("later", second(DAY + 7200), (A, 30.0))
    yesterday = playlist(bulletin, renditions=(file,), issued=second(-60), version=1)
    today = playlist(later, renditions=(file,), issued=second(DAY), version=2)
    box = Box(trusted=False)
    await shelf.put(site.seal(yesterday), second(0))
    assert shelf.agenda is not None
    box.run(shelf.agenda, second(0), second(600))
    await shelf.put(site.seal(today), second(DAY + 10))
    box.trusted = second(DAY + 20)
    box.look(shelf.agenda, second(DAY + 20))
    assert box.told("bulletin") == [(Outcome.MISSED, "clock")]
    box.look(shelf.agenda, second(DAY + 30))
    assert box.told("bulletin") == [(Outcome.MISSED, "clock")]
