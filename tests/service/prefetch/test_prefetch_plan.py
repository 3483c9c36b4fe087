"""The prefetch plan against a plain one, and the rules that it keeps whatever is asked of it."""

import dataclasses
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.prefetch.plan import (
    GateDemand,
    PlanContext,
    PlanIndex,
    PlanLimits,
    PlannedJob,
    PrefetchPlan,
    SegmentPlan,
    plan,
)
from service.quality import Quality
from service.work.job import Waiter

DRAFT, FULL = Quality.DRAFT, Quality.FULL
KEYS = [f"key{number}" for number in range(8)]
WAITERS = [Waiter(session, gate) for session in ("s1", "s2", "s3") for gate in ("g1", "g2")]

rungs = st.builds(SegmentPlan, st.sampled_from(KEYS), st.sampled_from([DRAFT, FULL]), st.booleans(), st.floats(0, 9))
demands = st.builds(
    GateDemand,
    waiter=st.sampled_from(WAITERS),
    ladder=st.lists(rungs, max_size=3).map(tuple),
    deadline_s=st.floats(-1e6, 1e6),
    reach_chance=st.sampled_from([0.0, 0.01, 0.02, 0.5, 1.0]),
    opened=st.booleans(),
    have=st.sampled_from([None, Quality.PLACEHOLDER, DRAFT, FULL]),
)
tables = st.lists(demands, max_size=8).map(lambda found: {demand.waiter: demand for demand in found})
limits = st.builds(PlanLimits, max_jobs=st.integers(1, 6), min_reach_chance=st.sampled_from([0.0, 0.02, 0.6]))
lives = st.frozensets(st.sampled_from([*KEYS, "nobody's"]))


def plain_plan(context):
    """The same plan without any cleverness."""
    done = {rung.key for demand in context.demands.values() for rung in demand.ladder if rung.done}
    wanted = {}
    for demand in context.demands.values():
        if not (demand.opened or demand.reach_chance >= context.limits.min_reach_chance):
            continue
        has = [Quality.PLACEHOLDER, demand.have or Quality.PLACEHOLDER]
        has += [rung.quality for rung in demand.ladder if rung.done]
        asked = {}
        for rung in sorted(demand.ladder, key=lambda rung: rung.quality):
            asked.setdefault(rung.key, rung)
        for key, rung in asked.items():
            if rung.quality > max(has) and key not in done:
                wanted.setdefault(key, []).append((rung, demand))
    jobs = [
        PlannedJob(
            key,
            min(rung.quality for rung, _ in parts),
            0,
            min(demand.deadline_s for _, demand in parts),
            min(rung.left_s for rung, _ in parts),
            tuple(sorted(demand.waiter for _, demand in parts)),
        )
        for key, parts in wanted.items()
    ]
    jobs.sort(key=lambda job: (job.quality, job.deadline_s, job.key))
    jobs = [dataclasses.replace(job, rank=rank) for rank, job in enumerate(jobs[: context.limits.max_jobs])]
    cancel = context.live - {job.key for job in jobs} - done
    return PrefetchPlan(tuple(jobs), tuple(sorted(cancel)))


@given(st.lists(st.tuples(tables, lives), min_size=1, max_size=4), limits)
@settings(max_examples=80, deadline=None)
def test_an_incremental_plan_is_the_one_from_scratch_and_the_plain_one(contexts, limits):
    index = PlanIndex()
    for demanded, live in contexts:
        context = PlanContext(demanded, live, limits)
        incremental, index = plan(context, index)
        scratch, fresh = plan(context, PlanIndex())
        assert incremental == scratch == plain_plan(context)
        assert index == fresh


@given(st.lists(st.tuples(st.sampled_from(WAITERS), st.none() | demands), max_size=20))
@settings(max_examples=60, deadline=None)
def test_small_changes_one_after_another_lead_to_the_same_plan(changes):
    index, table = PlanIndex(), {}
    for waiter, demand in changes:
        if demand is None:
            table.pop(waiter, None)
        else:
            table[waiter] = dataclasses.replace(demand, waiter=waiter)
        found, index = plan(PlanContext(table), index)
        assert found == plain_plan(PlanContext(table))


@given(tables, lives, limits)
@settings(max_examples=60, deadline=None)
def test_what_always_holds(table, live, limits):
    found, _ = plan(PlanContext(table, live, limits), PlanIndex())
    keys = [job.key for job in found.jobs]
    assert len(keys) == len(set(keys)) <= limits.max_jobs
    assert [job.rank for job in found.jobs] == list(range(len(keys)))
    order = [(job.quality, job.deadline_s) for job in found.jobs]
    assert order == sorted(order)
    assert not set(keys) & set(found.cancel)
    assert set(found.cancel) <= live
    done = {rung.key for demand in table.values() for rung in demand.ladder if rung.done}
    assert not done & (set(keys) | set(found.cancel))
    for job in found.jobs:
        for waiter in job.waiters:
            demand = table[waiter]
            assert job.key in {rung.key for rung in demand.ladder}
            assert demand.deadline_s >= job.deadline_s
            assert demand.opened or demand.reach_chance >= limits.min_reach_chance


def test_one_change_among_many_demands_leads_to_the_same_plan():
    chance = random.Random(5)

    def any_demand():
        key = f"k{chance.randrange(150)}"
        ladder = (SegmentPlan(f"{key}d", DRAFT, chance.random() < 0.2), SegmentPlan(f"{key}f", FULL))
        waiter = Waiter("s", f"g{chance.randrange(200)}")
        return GateDemand(waiter, ladder, float(chance.randrange(40)), chance.random(), chance.random() < 0.1)

    table = {each.waiter: each for each in (any_demand() for _ in range(400))}
    found, index = plan(PlanContext(table), PlanIndex())
    for step in range(60):
        changed = any_demand()
        if step % 4 == 0:
            table.pop(changed.waiter, None)
        else:
            table[changed.waiter] = changed
        found, index = plan(PlanContext(table), index)
        assert found == plain_plan(PlanContext(table))
    assert len(found.jobs) > 100


def demand(waiter, deadline_s, *, draft=None, full=None, **more):
    ladder = [SegmentPlan(draft, DRAFT)] if draft else []
    ladder += [SegmentPlan(full, FULL)] if full else []
    return GateDemand(WAITERS[waiter], tuple(ladder), deadline_s, **more)


def planned(*found, live=(), **more):
    table = {each.waiter: each for each in found}
    return plan(PlanContext(table, frozenset(live), **more), PlanIndex())[0]


def test_every_draft_comes_before_any_full_and_the_earlier_deadline_first():
    found = planned(demand(0, 50.0, draft="d0", full="f0"), demand(1, 20.0, draft="d1", full="f1"))
    assert [job.key for job in found.jobs] == ["d1", "d0", "f1", "f0"]


def test_open_gates_come_first_because_their_deadline_is_past():
    soon, now = demand(0, 100.0, draft="soon"), demand(1, 99.0, draft="now", opened=True, reach_chance=0.0)
    assert [job.key for job in planned(soon, now).jobs] == ["now", "soon"]


def test_equal_keys_are_one_job_for_all_who_wait():
    (job,) = planned(demand(2, 9.0, draft="d"), demand(0, 30.0, draft="d"), demand(1, 20.0, draft="d")).jobs
    assert job.waiters == tuple(WAITERS[:3])
    assert job.deadline_s == 9.0


def test_a_rung_below_what_is_done_or_there_already_is_not_made():
    full = GateDemand(WAITERS[0], (SegmentPlan("d", DRAFT), SegmentPlan("f", FULL, done=True)), 1.0)
    assert planned(full).jobs == ()
    assert [job.key for job in planned(demand(0, 1.0, draft="d", full="f", have=DRAFT)).jobs] == ["f"]
    assert planned(demand(0, 1.0, draft="d", full="f", have=FULL)).jobs == ()


def test_one_segment_that_is_draft_and_full_is_made_once_as_a_draft():
    (job,) = planned(demand(0, 1.0, draft="same", full="same")).jobs
    assert job.quality is DRAFT


def test_what_nobody_wants_and_what_the_cap_leaves_out_is_cancelled():
    found = planned(
        demand(0, 1.0, draft="a"), demand(1, 2.0, draft="b"), live={"b", "gone"}, limits=PlanLimits(max_jobs=1)
    )
    assert [job.key for job in found.jobs] == ["a"]
    assert found.cancel == ("b", "gone")


def test_a_gate_that_is_hardly_ever_reached_gets_no_work():
    assert planned(demand(0, 1.0, draft="d", reach_chance=0.019), live={"d"}).cancel == ("d",)
    assert len(planned(demand(0, 1.0, draft="d", reach_chance=0.02)).jobs) == 1


def test_nothing_to_do():
    assert planned() == PrefetchPlan((), ())


def test_the_index_is_kept_where_nothing_changed_and_dropped_where_limits_did():
    table = {WAITERS[0]: demand(0, 1.0, draft="d")}
    _, index = plan(PlanContext(table), PlanIndex())
    assert plan(PlanContext(dict(table)), index)[1] is index
    stricter = PlanContext({WAITERS[0]: demand(0, 1.0, draft="d", reach_chance=0.5)}, limits=PlanLimits(5, 0.9))
    assert plan(stricter, index)[0].jobs == ()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GateDemand(WAITERS[0], (), math.nan), "deadline_s must be epoch seconds, got NaN"),
        (lambda: GateDemand(WAITERS[0], (), 0.0, reach_chance=1.1), "reach_chance must be within"),
        (lambda: GateDemand(WAITERS[0], (), 0.0, reach_chance=math.nan), "reach_chance must be within"),
        (lambda: PlanLimits(max_jobs=0), "max_jobs must be 1 or more, got 0"),
        (lambda: PlanLimits(min_reach_chance=2.0), "min_reach_chance must be within"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(make, words):
    with pytest.raises(ValueError, match=words.replace("[", r"\[")):
        make()
