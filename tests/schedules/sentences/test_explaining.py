"""Why an occurrence ends as it does, in one sentence: every outcome and reason in both languages."""

from dataclasses import replace
from datetime import datetime, time, timedelta
from itertools import product

import pytest

from schedules.levels import Side
from schedules.programmes import IfTaken, Yielding
from schedules.rules import Breach, Hold, Hours, Rule
from schedules.sentences.explaining import explain, why_stopped
from schedules.verdicts import Outcome, Question, Reason, Verdict
from tests.schedules.examples import DAY, HOUR, MINUTE, NEW_YORK, NOON, SAIGON, occurrence

SECOND = timedelta(seconds=1)
BULLETIN = occurrence("p", 0, 5)
"""Five minutes, at 19:00 in Trần Đề, on 2 March."""
STORM = "q@20260302T120200Z"
TITLES = {"q": "Bản tin tỉnh"}
HOLD = Hold(
    id="h", kind="funeral", reason="đám tang ông Tư", start=NOON, end=NOON + 2 * HOUR, by="lan", placed_at=NOON - DAY
)
QUESTION = Question(above=STORM, ours=BULLETIN.id, decide_by=NOON - HOUR, default=Side.ABOVE)
BREACHES = {
    Rule.QUIET_HOURS: Breach(rule=Rule.QUIET_HOURS, hours=Hours(start=time(18, 30), end=time(5))),
    Rule.WEEKDAY: Breach(rule=Rule.WEEKDAY),
    Rule.HOLD: Breach(rule=Rule.HOLD, hold=HOLD),
    Rule.SESSION_TOO_LONG: Breach(rule=Rule.SESSION_TOO_LONG, limit=15 * MINUTE),
    Rule.DAY_FULL: Breach(rule=Rule.DAY_FULL, limit=90 * MINUTE),
    Rule.TOO_MANY_SESSIONS: Breach(rule=Rule.TOO_MANY_SESSIONS, limit=2),
    Rule.TOO_SOON: Breach(rule=Rule.TOO_SOON, limit=90 * SECOND),
}


def verdict(
    outcome: Outcome, reason: Reason, start: float | None = None, minutes: float = 5, **more: object
) -> Verdict:
    """Return a verdict on the bulletin, heard ``start`` minutes late for so many minutes; None: not heard."""
    begin = None if start is None else NOON + timedelta(minutes=start)
    end = None if begin is None else begin + timedelta(minutes=minutes)
    plain = Verdict(occurrence=BULLETIN, outcome=outcome, reason=reason, start=begin, end=end)
    return replace(plain, **more)  # type: ignore[arg-type]


def stopped(rule: Rule) -> Verdict:
    return verdict(Outcome.DROPPED, Reason.LOCAL_RULE, breach=BREACHES[rule])


TOLD: dict[str, tuple[Verdict, str, str]] = {
    "kept": (
        verdict(Outcome.KEPT, Reason.AS_ASKED, 0),
        "Heard as asked, from 19:00 to 19:05 on 2026-03-02.",
        "Phát đúng giờ, từ 19:00 đến 19:05 ngày 02/03/2026.",
    ),
    "an emergency that passes rules": (
        verdict(Outcome.KEPT, Reason.AS_ASKED, 0, passes=(Rule.HOLD, Rule.WEEKDAY, Rule.QUIET_HOURS)),
        "Heard as asked, from 19:00 to 19:05 on 2026-03-02; as an emergency it may pass the rules on "
        "holds, days of the week and quiet hours.",
        "Phát đúng giờ, từ 19:00 đến 19:05 ngày 02/03/2026; là tin khẩn cấp nên được vượt quy định về "
        "lệnh tạm ngừng, ngày trong tuần và giờ yên lặng.",
    ),
    "moved": (
        verdict(Outcome.MOVED, Reason.AIR_TAKEN, 12, by=STORM),
        "Heard at 19:12 instead of 19:00 on 2026-03-02, because “Bản tin tỉnh” (19:02) has the air then; "
        "choose another time if this will not do.",
        "Phát lúc 19:12 thay vì 19:00 ngày 02/03/2026 vì lúc đó “Bản tin tỉnh” (19:02) được phát; "
        "nếu không phù hợp, hãy chọn giờ khác.",
    ),
    "moved over midnight": (
        verdict(Outcome.MOVED, Reason.AIR_TAKEN, 300, by="x@20260302T165900Z"),
        "Heard at 00:00 on 2026-03-03 instead of 19:00 on 2026-03-02, because another bulletin (23:59) has the air "
        "then; choose another time if this will not do.",
        "Phát lúc 00:00 ngày 03/03/2026 thay vì 19:00 ngày 02/03/2026 vì lúc đó một bản tin khác (23:59) được phát; "
        "nếu không phù hợp, hãy chọn giờ khác.",
    ),
    "trimmed": (
        verdict(Outcome.TRIMMED, Reason.AIR_TAKEN, 0, 2, by=STORM),
        "Heard only in part, from 19:00 to 19:02 on 2026-03-02 (2 min of 5 min), because “Bản tin tỉnh” (19:02) "
        "has the air then; choose another time if this will not do.",
        "Chỉ phát một phần, từ 19:00 đến 19:02 ngày 02/03/2026 (2 phút trên 5 phút) vì lúc đó “Bản tin tỉnh” (19:02) "
        "được phát; nếu không phù hợp, hãy chọn giờ khác.",
    ),
    "dropped, as it asked to be": (
        verdict(Outcome.DROPPED, Reason.AIR_TAKEN, by=None),
        "Not heard at 19:00 on 2026-03-02, because another bulletin has the air then; "
        "choose another time if this will not do.",
        "Không phát lúc 19:00 ngày 02/03/2026 vì lúc đó một bản tin khác được phát; "
        "nếu không phù hợp, hãy chọn giờ khác.",
    ),
    "no room": (
        verdict(Outcome.DROPPED, Reason.NO_ROOM, by=STORM),
        "Not heard at 19:00 on 2026-03-02, because “Bản tin tỉnh” (19:02) has the air then, and no other time is free "
        "for it soon enough; choose another time, or let it be moved further.",
        "Không phát lúc 19:00 ngày 02/03/2026 vì lúc đó “Bản tin tỉnh” (19:02) được phát và không còn giờ trống nào "
        "đủ sớm; hãy chọn giờ khác hoặc cho phép dời xa hơn.",
    ),
    "no room before the quiet": (
        verdict(Outcome.DROPPED, Reason.NO_ROOM, by=STORM, breach=BREACHES[Rule.QUIET_HOURS]),
        "Not heard at 19:00 on 2026-03-02, because “Bản tin tỉnh” (19:02) has the air then, and no other time is free "
        "for it soon enough, and after it the zone is quiet from 18:30 to 05:00; choose another time that neither of "
        "them stops.",
        "Không phát lúc 19:00 ngày 02/03/2026 vì lúc đó “Bản tin tỉnh” (19:02) được phát và không còn giờ trống nào "
        "đủ sớm, sau đó khu vực giữ yên lặng từ 18:30 đến 05:00; hãy chọn giờ khác không vướng tin đó và quy định "
        "này.",
    ),
    "no room for what may only be trimmed": (
        replace(
            verdict(Outcome.DROPPED, Reason.NO_ROOM, by=STORM),
            occurrence=replace(BULLETIN, if_taken=IfTaken(action=Yielding.TRIM)),
        ),
        "Not heard at 19:00 on 2026-03-02, because “Bản tin tỉnh” (19:02) has the air then, and no other time is free "
        "for it soon enough; choose another time, or let it be moved instead of trimmed.",
        "Không phát lúc 19:00 ngày 02/03/2026 vì lúc đó “Bản tin tỉnh” (19:02) được phát và không còn giờ trống nào "
        "đủ sớm; hãy chọn giờ khác hoặc cho phép dời thay vì cắt bớt.",
    ),
    "withdrawn while it sounded": (
        verdict(Outcome.TRIMMED, Reason.WITHDRAWN, 0, 3.5),
        "Heard only in part, from 19:00 to 19:03:30 on 2026-03-02 (3 min 30 s of 5 min), because its programme was "
        "withdrawn.",
        "Chỉ phát một phần, từ 19:00 đến 19:03:30 ngày 02/03/2026 (3 phút 30 giây trên 5 phút) vì chương trình đã "
        "được rút.",
    ),
    "decided against": (
        verdict(Outcome.DROPPED, Reason.DECIDED, by=STORM),
        "Not heard at 19:00 on 2026-03-02, because an official put “Bản tin tỉnh” (19:02) first; "
        "decide again if it should be otherwise.",
        "Không phát lúc 19:00 ngày 02/03/2026 vì cán bộ đã quyết định cho “Bản tin tỉnh” (19:02) phát trước; "
        "nếu muốn khác, hãy quyết định lại.",
    ),
    "undecided": (
        verdict(
            Outcome.UNDECIDED,
            Reason.AWAITS_DECISION,
            12,
            questions=(QUESTION,),
            otherwise=verdict(Outcome.MOVED, Reason.AIR_TAKEN, 12),
            by="somebody@20260302T120500Z",
        ),
        "The commune's official has to decide by 18:00 on 2026-03-02 whether this one of 19:00 on 2026-03-02 or "
        "“Bản tin tỉnh” (19:02) goes first, because both are of priority and one of them comes from above; if nobody "
        "answers, the one from above goes first and this one is heard at 19:12.",
        "Cán bộ xã cần quyết định trước 18:00 ngày 02/03/2026 bản tin lúc 19:00 ngày 02/03/2026 này hay "
        "“Bản tin tỉnh” (19:02) phát trước vì cả hai đều là tin ưu tiên và một tin là của cấp trên; nếu không ai trả "
        "lời thì tin của cấp trên phát trước và tin này phát lúc 19:12.",
    ),
    Rule.QUIET_HOURS: (
        stopped(Rule.QUIET_HOURS),
        "Not heard at 19:00 on 2026-03-02, because the zone is quiet from 18:30 to 05:00; "
        "choose a time outside these hours.",
        "Không phát lúc 19:00 ngày 02/03/2026 vì khu vực giữ yên lặng từ 18:30 đến 05:00; "
        "hãy chọn giờ khác ngoài khoảng này.",
    ),
    Rule.WEEKDAY: (
        stopped(Rule.WEEKDAY),
        "Not heard at 19:00 on 2026-03-02, because the zone is silent on this day of the week; choose another day.",
        "Không phát lúc 19:00 ngày 02/03/2026 vì khu vực không phát vào ngày này trong tuần; hãy chọn ngày khác.",
    ),
    Rule.HOLD: (
        stopped(Rule.HOLD),
        "Not heard at 19:00 on 2026-03-02, because the zone is held silent until 21:00 on 2026-03-02 "
        "(funeral: đám tang ông Tư); choose a later time, or lift the hold if it is over.",
        "Không phát lúc 19:00 ngày 02/03/2026 vì khu vực tạm ngừng phát đến 21:00 ngày 02/03/2026 "
        "(tang lễ: đám tang ông Tư); hãy chọn giờ muộn hơn, hoặc gỡ lệnh tạm ngừng nếu không còn cần.",
    ),
    Rule.SESSION_TOO_LONG: (
        stopped(Rule.SESSION_TOO_LONG),
        "Not heard at 19:00 on 2026-03-02, because a session may last at most 15 min there; "
        "shorten it, or leave more than a minute between it and what is next to it.",
        "Không phát lúc 19:00 ngày 02/03/2026 vì mỗi phiên phát ở đó dài nhất 15 phút; "
        "hãy rút ngắn, hoặc để cách tin bên cạnh hơn một phút.",
    ),
    Rule.DAY_FULL: (
        stopped(Rule.DAY_FULL),
        "Not heard at 19:00 on 2026-03-02, because at most 1 h 30 min a day may be heard there; "
        "choose another day, or shorten what is heard on this one.",
        "Không phát lúc 19:00 ngày 02/03/2026 vì mỗi ngày ở đó chỉ được phát tối đa 1 giờ 30 phút; "
        "hãy chọn ngày khác hoặc rút ngắn nội dung trong ngày.",
    ),
    Rule.TOO_MANY_SESSIONS: (
        stopped(Rule.TOO_MANY_SESSIONS),
        "Not heard at 19:00 on 2026-03-02, because there may be at most 2 session(s) a day there; "
        "put it right after another bulletin, or choose another day.",
        "Không phát lúc 19:00 ngày 02/03/2026 vì mỗi ngày ở đó chỉ được có tối đa 2 phiên phát; "
        "hãy phát liền sau một bản tin khác hoặc chọn ngày khác.",
    ),
    Rule.TOO_SOON: (
        stopped(Rule.TOO_SOON),
        "Not heard at 19:00 on 2026-03-02, because sessions have to be at least 1 min 30 s apart there; "
        "put it right after another bulletin, or leave this much time between them.",
        "Không phát lúc 19:00 ngày 02/03/2026 vì hai phiên phát ở đó phải cách nhau ít nhất 1 phút 30 giây; "
        "hãy phát liền sau một bản tin khác hoặc để cách đủ thời gian đó.",
    ),
}


@pytest.mark.parametrize(("told", "english", "vietnamese"), TOLD.values(), ids=TOLD)
def test_an_official_is_told_what_and_why_and_what_to_do(told: Verdict, english: str, vietnamese: str) -> None:
    assert explain(told, "en", SAIGON, TITLES) == english
    assert explain(told, "vi", SAIGON, TITLES) == vietnamese


def test_the_table_has_every_reason_and_every_rule() -> None:
    verdicts = [told for told, _, _ in TOLD.values()]
    assert {told.outcome for told in verdicts} == set(Outcome)
    assert {told.reason for told in verdicts} == set(Reason)
    assert {told.breach.rule for told in verdicts if told.breach} == set(Rule)


@pytest.mark.parametrize("language", ["en", "vi"])
def test_every_outcome_can_have_every_reason_with_nothing_more_known(language: str) -> None:
    """Arbiters change; a sentence that is missing would be a page that cannot be shown."""
    for outcome, reason, rule in product(Outcome, Reason, (None, *Rule)):
        start = None if outcome is Outcome.DROPPED else 1
        told = explain(verdict(outcome, reason, start, breach=BREACHES[rule] if rule else None), language, SAIGON)
        assert told.endswith(".")
        assert "{" not in told
        assert told[0].isupper()


@pytest.mark.parametrize(
    ("otherwise", "start", "english", "vietnamese"),
    [
        (Outcome.KEPT, 0, "our own goes first and this one is heard as asked.", "tin này phát đúng giờ."),
        (Outcome.TRIMMED, 0, "this one is heard only from 19:00 to 19:05.", "tin này chỉ phát từ 19:00 đến 19:05."),
        (Outcome.DROPPED, None, "this one is not heard.", "tin này không được phát."),
    ],
)
def test_who_does_not_decide_is_told_what_comes_of_it(
    otherwise: Outcome, start: float | None, english: str, vietnamese: str
) -> None:
    question = replace(QUESTION, default=Side.OURS)
    stands = verdict(otherwise, Reason.AIR_TAKEN, start)
    told = verdict(Outcome.UNDECIDED, Reason.AWAITS_DECISION, start, questions=(question,), otherwise=stands)
    assert explain(told, "en", SAIGON).endswith(english)
    assert explain(told, "vi", SAIGON).endswith(f"tin của đài phát trước và {vietnamese}")


def test_times_are_those_of_the_place() -> None:
    assert "from 07:00 to 07:05" in explain(verdict(Outcome.KEPT, Reason.AS_ASKED, 0), "en", NEW_YORK)


def test_another_occurrence_is_named_as_far_as_it_is_known() -> None:
    def other(by: str | None, titles: dict[str, str] | None = None) -> str:
        told = explain(verdict(Outcome.DROPPED, Reason.DECIDED, by=by), "en", SAIGON, titles)
        return told.partition(" put ")[2].partition(" first")[0]

    assert other(STORM, {"q": "Bão"}) == "“Bão” (19:02)"
    assert other(STORM, {STORM: "Bão số 5", "q": "Bão"}) == "“Bão số 5” (19:02)"
    assert other(STORM) == "another bulletin (19:02)"
    assert other("q@20260303T120200Z") == "another bulletin (19:02 on 2026-03-03)"
    assert other("q", {"q": "Bão {x}"}) == "“Bão {x}”"
    assert other("q@yesterday") == other(None) == "another bulletin"


def test_a_language_that_is_not_spoken_is_english() -> None:
    assert explain(verdict(Outcome.KEPT, Reason.AS_ASKED, 0), "fr", SAIGON).startswith("Heard as asked")


def test_a_rule_can_be_told_alone() -> None:
    assert why_stopped(BREACHES[Rule.QUIET_HOURS], "en", SAIGON) == "the zone is quiet from 18:30 to 05:00"
    assert why_stopped(BREACHES[Rule.WEEKDAY], "vi", SAIGON) == "khu vực không phát vào ngày này trong tuần"
    odd = replace(HOLD, kind="festival", reason="{hội}", end=datetime.fromisoformat("2026-03-03T00:00:30+07:00"))
    said = why_stopped(Breach(rule=Rule.HOLD, hold=odd), "en", SAIGON)
    assert said == "the zone is held silent until 00:00:30 on 2026-03-03 (another reason: {hội})"
