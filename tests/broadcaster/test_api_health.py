"""Whether it lives, whether it is of use, and its figures; and what it says when the fault is ours."""

import shutil

import pytest
from prometheus_client.parser import text_string_to_metric_families

from broadcaster.api import problems
from broadcaster.store.records import Publication, Sound
from devices.messages import Outcome
from tests.broadcaster.commune import NOW, enrolled, receipt, receipts, waiting_sound
from tests.broadcaster.conftest import Commune
from tests.broadcaster.test_api_sounds import END, FORM, part


def test_a_process_that_answers_lives(commune: Commune) -> None:
    commune.ready["broker"] = False
    assert commune.get("/healthz", token=None) == {"status": "alive"}


def test_it_is_of_use_when_all_its_parts_are(commune: Commune) -> None:
    assert commune.get("/readyz", token=None) == {"ready": True, "plan": True, "broker": True}
    commune.ready["broker"] = False
    assert commune.get("/readyz", token=None, expect=503) == {"ready": False, "plan": True, "broker": False}


def test_the_figures_are_those_of_the_store(commune: Commune, sound: Sound) -> None:
    waiting_sound(commune.store)
    enrolled(commune.store)
    commune.store.journal.store_receipts(
        receipts(receipt(1, Outcome.STARTED), receipt(2, Outcome.FINISHED), receipt(3, Outcome.FINISHED)),
        received_at=NOW,
    )
    publication = Publication(cluster="nam-chanh-1", version=7, content="c", issued_at=NOW, envelope=b"e")
    commune.store.journal.store_publications([publication])
    commune.dropped["bad_signature"] = 4
    commune.ready["broker"] = False
    answer = commune.ask("GET", "/metrics", token=None)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    figures = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }
    assert figures == {
        ("loa_boxes", "unknown"): 1,
        ("loa_sounds", "ready"): 1,
        ("loa_sounds", "preparing"): 1,
        ("loa_receipts_total", "started"): 1,
        ("loa_receipts_total", "finished"): 2,
        ("loa_dropped_messages_total", "bad_signature"): 4,
        ("loa_playlist_version", "nam-chanh-1"): 7,
        ("loa_ready", "plan"): 1,
        ("loa_ready", "broker"): 0,
    }


def test_the_description_of_the_api_is_there(commune: Commune) -> None:
    told = commune.run(commune.browser.ask("GET", "/openapi.json")).json()
    assert told["info"]["title"] == "Loa"
    missing = [
        f"{method} {path}"
        for path, methods in told["paths"].items()
        for method, operation in methods.items()
        if not operation.get("description")
    ]
    assert missing == []


def test_a_store_that_cannot_be_written_is_told_and_no_definition_changes(commune: Commune) -> None:
    """As on a full disk: the draft of the new state cannot be opened. Its fact stays: written first, see ``record``."""
    directory = commune.library.dir.parent
    [definitions] = [path for path in directory.iterdir() if path.suffix == ".json"]
    draft = definitions.with_name(definitions.name + ".new")
    draft.mkdir()
    body = {"id": "moi", "name": "Ấp mới", "kind": "ấp"}
    answer = commune.ask("POST", "/zones", json=body, headers={"Accept-Language": "vi"})
    assert (answer.status, answer.json()["code"]) == (507, "store_unwritable")
    assert answer.json()["detail"].startswith("Máy chủ không ghi được dữ liệu")
    assert all(zone.id != "moi" for zone in commune.store.definitions.zones.all())
    draft.rmdir()
    commune.post("/zones", body)


def test_a_library_that_cannot_be_written_is_told_and_nothing_changes(commune: Commune) -> None:
    incoming = commune.library.dir / "incoming"
    hidden = incoming.rename(incoming.with_name("hidden"))
    incoming.write_bytes(b"")
    answer = commune.ask("POST", "/sounds", body=[part(b"x"), END], headers=FORM)
    assert (answer.status, answer.json()["code"]) == (507, "library_unwritable")
    incoming.unlink()
    hidden.rename(incoming)
    assert commune.store.definitions.sounds.all() == ()


def test_a_store_that_is_damaged_is_told(commune: Commune) -> None:
    directory = commune.library.dir.parent
    [definitions] = [path for path in directory.iterdir() if path.suffix == ".json"]
    good = directory / "good"
    shutil.copy(definitions, good)
    definitions.write_bytes(b"torn")
    answer = commune.ask("GET", "/zones")
    assert (answer.status, answer.json()["code"]) == (500, "store_damaged")
    good.replace(definitions)
    assert commune.get("/zones")["items"]


def test_a_mistake_of_ours_is_told_as_one_and_says_nothing_of_itself(commune: Commune) -> None:
    def broken() -> dict[str, bool]:
        raise RuntimeError("a secret of the machine room")

    commune.context.readiness = broken
    with pytest.raises(RuntimeError, match="secret"):  # the server logs it after it has answered
        commune.get("/readyz")
    english = problems.sentence("internal", {}, "en", "Something went wrong on our side")
    assert "secret" not in english


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("vi", "vi"),
        ("vi-VN", "vi"),
        ("VI-vn;q=0.9", "vi"),
        ("en", "en"),
        ("en, vi", "en"),
        ("vi, en", "en"),
        ("vi, en;q=0.9", "vi"),
        ("en;q=0.8, vi;q=0.9", "vi"),
        ("en;q=0.8,vi;q=0.7", "en"),
        ("fr, vi;q=0.1", "vi"),
        ("fr;q=1, de", "en"),
        ("*", "en"),
        ("vi;q=0", "en"),
        ("vi;q=x", "en"),
        ("vi;q=nan", "en"),
        (";;;,,,", "en"),
        ("," * 100 + "vi", "en"),
    ],
)
def test_the_language_is_the_one_that_is_preferred(accepted: str, language: str) -> None:
    assert problems.language(accepted) == language
