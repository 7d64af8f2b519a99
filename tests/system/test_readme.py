"""The README's session with the API, run as it stands there."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.services import require
from tests.system.town import PASSWORD, as_mp3, noise_recording, town

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.timeout(90)
def test_the_session_of_the_readme(tmp_path: Path) -> None:
    require("curl")
    (block,) = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)[:1]
    with town(tmp_path) as place:
        place.ask("POST", "/zones", json={"id": "lich-hoi-thuong", "name": "Xã", "kind": "xã", "parent": "tran-de"})
        place.ask("POST", "/clusters", json={"id": "cho-1", "name": "Chợ", "zone": "lich-hoi-thuong"})
        (place.data / "demo-password").write_text(PASSWORD)
        (tmp_path / "bulletin.mp3").write_bytes(as_mp3(noise_recording(2, seed=5)))
        session = block.replace("http://127.0.0.1:8080", place.url).replace('"name": "admin"', '"name": "hoa"')
        session = session.replace("curl -sN", "timeout 3 curl -sN").replace("# everything", "|| test $? = 124 #")
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", session.replace("curl -s", "curl --fail-with-body -s")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert '"code": "quiet_hours"' in done.stdout, "the preview catches 03:15"
        assert "Tiếp sóng" not in {each["title"] for each in place.ask("GET", "/programmes")["items"]}, (
            "and stores nothing"
        )
        titles = {each["title"]: each for each in place.ask("GET", "/programmes")["items"]}
        assert titles.keys() == {"Bản tin sáng", "Họp dân", "Bản tin"}
        assert titles["Bản tin sáng"]["zones"] == ["nam-chanh"]
        assert titles["Họp dân"]["except"] == ["giong-giua-1"]
        assert titles["Bản tin"]["recurrence"]["rule"].endswith("BYHOUR=5,17")
