import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audio.child import Bounds, Child, listen
from audio.errors import SoundError
from tests.audio.material import children

BOUNDS = Bounds(seconds=20, memory_bytes=1 << 30)


def python(script: str, bounds: Bounds = BOUNDS, **wishes: int) -> Child:
    return Child([sys.executable, "-I", "-c", script], bounds=bounds, **wishes)


def hear(child: Child, *, seconds: float = 20, cancelled: bool = False) -> bytes:
    return listen({"said": child.stdout}, seconds=seconds, cancelled=lambda: cancelled)["said"]


def test_the_end_of_what_is_said_is_kept_however_much_it_is() -> None:
    with python("print('x' * 1_000_000 + 'end')") as child:
        said = hear(child)
        assert child.wait() == 0
    assert said.endswith(b"xend\n")
    assert len(said) == 8192


def test_what_is_given_arrives() -> None:
    with python("import sys; print(len(sys.stdin.buffer.read()))", stdin=subprocess.PIPE) as child:
        child.give(b"x" * 500_000)
        child.stdin.close()
        assert hear(child) == b"500000\n"


@pytest.mark.parametrize(("seconds", "cancelled", "code"), [(0.2, False, "sound_failed"), (20, True, "cancelled")])
def test_a_child_that_hangs_or_is_not_wanted_is_killed(seconds: float, cancelled: bool, code: str) -> None:
    started = time.monotonic()
    with pytest.raises(SoundError) as caught, python("import time; time.sleep(60)") as child:
        hear(child, seconds=seconds, cancelled=cancelled)
    assert caught.value.code == code
    assert time.monotonic() - started < 5
    assert children() == []


@pytest.mark.skipif(sys.platform != "linux", reason="limits are set with prlimit, which only Linux has")
def test_memory_and_files_are_bounded(tmp_path: Path) -> None:
    tight = Bounds(seconds=20, memory_bytes=200 << 20, file_bytes=1000)
    path = tmp_path / "file"
    script = f"import sys; sys.stdin.read(); open({str(path)!r}, 'wb', 0).write(bytes(2000)); bytearray(1 << 30)"
    with python(script, tight, stdin=subprocess.PIPE) as child:
        child.stdin.close()  # now the limits are set
        assert b"MemoryError" in listen({"said": child.stderr}, seconds=20, cancelled=lambda: False)["said"]
        assert child.wait() == 1
    assert path.stat().st_size == 1000


@pytest.mark.skipif(sys.platform != "linux", reason="limits are set with prlimit, which only Linux has")
def test_processor_time_is_bounded() -> None:
    with python("while True: pass", Bounds(seconds=0.1, memory_bytes=1 << 30)) as child:
        hear(child)
        assert child.wait() == -signal.SIGKILL


def test_nothing_of_our_environment_reaches_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOA_SECRET", "secret")
    with python("import os; print(sorted(os.environ))") as child:
        assert hear(child) == b"['LC_ALL', 'PATH']\n"


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(SoundError, match=r"/nowhere/ffmpeg cannot be started \(No such file") as caught:
        Child(["/nowhere/ffmpeg"], bounds=BOUNDS)
    assert caught.value.code == "sound_failed"
