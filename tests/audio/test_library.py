import hashlib
import os
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from audio.errors import SoundError
from audio.library import Incoming, Library

NOW = timedelta(0)


def put(library: Library, content: bytes, *, limit_bytes: int = 1000) -> str:
    with library.receive(limit_bytes=limit_bytes) as incoming:
        incoming.write(content)
        return library.keep(incoming, "originals")


def test_a_sound_is_found_under_the_digest_of_its_bytes(library: Library) -> None:
    digest = put(library, b"abc")
    assert digest == hashlib.sha256(b"abc").hexdigest()
    assert library.has("originals", digest)
    assert not library.has("renditions", digest)
    assert library.size("originals", digest) == 3
    assert library.path("originals", digest) == library.dir / "originals" / digest[:2] / digest
    with library.open("originals", digest) as file:
        assert file.read() == b"abc"


def test_the_same_sound_twice_is_one(library: Library) -> None:
    assert put(library, b"abc") == put(library, b"abc")
    assert len(list(library.dir.glob("originals/??/*"))) == 1


def test_what_is_written_anew_after_clear_counts_alone(library: Library) -> None:
    with library.receive(limit_bytes=4) as incoming:
        incoming.write(b"long")
        incoming.clear()
        incoming.write(b"new")
        digest = library.keep(incoming, "renditions")
    assert library.path("renditions", digest).read_bytes() == b"new"
    assert library.verify("renditions", digest)


def test_the_limit_is_kept_at_the_chunk_that_passes_it(library: Library) -> None:
    with library.receive(limit_bytes=10) as incoming:
        incoming.write(b"0123456789")
        with pytest.raises(SoundError, match="larger than the 10 bytes") as caught:
            incoming.write(b"x")
        assert incoming.path.stat().st_size == 10
    assert (caught.value.code, caught.value.fields) == ("sound_too_large", {"limit_bytes": 10})


def test_what_is_not_kept_is_gone(library: Library) -> None:
    with pytest.raises(RuntimeError), library.receive(limit_bytes=10):
        raise RuntimeError
    with library.workspace() as room:
        (room / "deep").mkdir()
        (room / "deep" / "file").write_bytes(b"x")
    assert list((library.dir / "incoming").iterdir()) == []


def test_a_damaged_or_missing_sound_does_not_verify(library: Library) -> None:
    digest = put(library, b"abc")
    assert library.verify("originals", digest)
    library.path("originals", digest).write_bytes(b"abd")
    assert not library.verify("originals", digest)
    assert not library.verify("originals", "0" * 64)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_a_digest_names_a_file(library: Library, digest: str) -> None:
    with pytest.raises(ValueError, match="Not a SHA-256"):
        library.path("originals", digest)


def test_a_sweep_removes_what_nobody_names(library: Library) -> None:
    kept, dropped = put(library, b"kept"), put(library, b"dropped")
    assert library.sweep({kept}, spare=NOW) == 1
    assert library.has("originals", kept)
    assert not library.has("originals", dropped)


def test_a_sweep_spares_what_has_just_come_or_come_again(library: Library) -> None:
    digest = put(library, b"abc")
    assert library.sweep(()) == 0
    os.utime(library.path("originals", digest), (0, 0))
    assert put(library, b"abc") == digest
    assert library.sweep(()) == 0


def test_a_sweep_leaves_work_in_progress_alone(library: Library) -> None:
    with library.receive(limit_bytes=10) as incoming, library.workspace() as room:
        incoming.write(b"abc")
        assert library.sweep((), spare=NOW) == 0
        assert room.is_dir()
        library.keep(incoming, "originals")


def test_a_sweep_removes_what_a_killed_process_left(library: Library) -> None:
    script = (
        "import os, sys, pathlib; from audio.library import Library\n"
        "library = Library(pathlib.Path(sys.argv[1]))\n"
        "with library.receive(limit_bytes=9) as incoming, library.workspace() as room:\n"
        "    incoming.write(b'half'); (room / 'file').touch(); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(library.dir)], check=False, cwd=Path(__file__).parents[2])
    assert len(list((library.dir / "incoming").iterdir())) == 2
    assert library.sweep((), spare=NOW) == 2


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SoundError, match=r"cannot write .*/file: Not a directory") as caught:
        Library(tmp_path / "file" / "library")
    assert caught.value.code == "library_unwritable"
    assert caught.value.fields["reason"] == "Not a directory"


def test_a_full_disk_is_named_and_says_what_to_do(tmp_path: Path) -> None:
    path = Path("/dev/full")
    if not path.exists() or not stat.S_ISCHR(path.stat().st_mode):
        pytest.skip("this system has no /dev/full")
    with path.open("r+b", buffering=0) as file, pytest.raises(SoundError, match="Free some space") as caught:
        Incoming(file, path, 10).write(b"abc")  # type: ignore[arg-type]
    assert caught.value.code == "library_unwritable"
