"""Decisions: which of two priority bulletins goes first, one from above and one of our own."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from broadcaster.api.context import House, Language, Now, SignedIn
from broadcaster.api.idempotency import KeyedRoute
from broadcaster.api.paging import AfterId, Limit, Page, page
from broadcaster.flow import decide
from schedules.levels import Side
from schedules.sentences.explaining import explain
from schedules.verdicts import Decision

router = APIRouter(route_class=KeyedRoute, tags=["decisions"])

Named = Annotated[
    str, Field(max_length=100, description="An occurrence, `programme@start`, or a programme: then every time.")
]


class NewDecision(BaseModel):
    """Which of the two goes first: both occurrences, or both programmes."""

    model_config = ConfigDict(extra="forbid")

    above: Named
    ours: Named
    first: Side


class DecisionView(BaseModel):
    """What an official decided."""

    above: str
    ours: str
    first: Side
    by: str
    at: datetime
    revision: int


class QuestionView(BaseModel):
    """Two priority bulletins that clash on some clusters; the official is asked until `decide_by`."""

    above: str
    above_title: str
    ours: str
    ours_title: str
    decide_by: datetime
    default: Side
    """Who goes first if nobody answers."""
    sentence: str
    """What is asked, and what becomes of our own without an answer."""
    clusters: list[str]


class QuestionsView(BaseModel):
    """What waits for an official, the most pressing first."""

    items: list[QuestionView]


def show(decision: Decision) -> DecisionView:
    """Return the decision as the API tells it."""
    return DecisionView(
        above=decision.above,
        ours=decision.ours,
        first=decision.first,
        by=decision.by,
        at=decision.at,
        revision=decision.revision,
    )


@router.get("/decisions")
def list_decisions(house: House, _by: SignedIn, after: AfterId = None, limit: Limit = 100) -> Page[DecisionView]:
    """Return what was decided, in the order in which it was first asked."""
    decisions = house.store.definitions.decisions.all()
    return page(decisions, id_of=lambda each: each.id, show=show, after=after, limit=limit)


@router.get("/decisions/open")
def list_questions(language: Language, house: House, _by: SignedIn, now: Now) -> QuestionsView:
    """Return the clashes within the time that playlists cover that wait for an official's decision."""
    titles = {each.id: each.title for each in house.store.definitions.programmes.all()}
    zone = house.settings.station.zone
    return QuestionsView(
        items=[
            QuestionView(
                above=clash.question.above,
                above_title=titles.get(clash.question.above.partition("@")[0], ""),
                ours=clash.question.ours,
                ours_title=clash.ours.occurrence.title,
                decide_by=clash.question.decide_by,
                default=clash.question.default,
                sentence=explain(clash.ours, language, zone, titles),
                clusters=list(clash.clusters),
            )
            for clash in decide.open_clashes(house.board.plans(now), now)
        ]
    )


@router.post("/decisions", status_code=201)
def decide_it(asked: NewDecision, house: House, by: SignedIn, now: Now) -> DecisionView:
    """Say which of two priority bulletins that clash goes first; said again, it takes the place of what was said.

    Two occurrences have to overlap, and the first of them must not begin within the next ten seconds.
    """
    answer = decide.Answer(above=asked.above, ours=asked.ours, first=asked.first)
    zone, policy = house.settings.station.zone, house.settings.policy
    return show(decide.decide(answer, policy=policy, zone=zone, by=by, store=house.store, now=now))
