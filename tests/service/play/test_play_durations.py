"""Durations against closed forms: the log-normal, its conditioning on elapsed time, and what progress says."""

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.play import durations
from service.play.durations import Remaining, fresh_samples_s, ranks_of, remaining, spread
from service.play.event import TaskStatus
from service.play.state import TaskState
from service.worlds.world import Duration

NORMAL = statistics.NormalDist()
RANKS = ranks_of("chain", "task")


def quantile(samples, share):
    return float(np.quantile(samples, share, method="hazen"))


@pytest.mark.parametrize(("p50_s", "p90_s"), [(20, 45), (0.01, 0.02), (3600, 3601), (5, 1e7)])
def test_a_fresh_task_has_its_p50_and_p90(p50_s, p90_s):
    samples = fresh_samples_s("chain", "task", p50_s, p90_s)
    assert quantile(samples, 0.5) == pytest.approx(p50_s, rel=2e-2)
    assert quantile(samples, 0.9) == pytest.approx(p90_s, rel=2e-2)
    assert not samples.flags.writeable


@settings(deadline=None)
@given(st.floats(0.1, 100), st.floats(1.2, 8), st.floats(0.01, 400))
def test_conditioning_is_the_truncated_log_normal(p50_s, ratio, age_s):
    duration = Duration(p50_s, p50_s * ratio)
    left = Remaining(p50_s, spread(duration), age_s)
    z = math.log(age_s / p50_s) / left.sigma
    if z > 7:
        return
    samples = left.samples_s(RANKS)
    for share in (0.1, 0.5, 0.9):
        survival = (1 - NORMAL.cdf(z)) if z < 4 else 0.5 * math.erfc(z / math.sqrt(2))
        expected = p50_s * math.exp(left.sigma * -NORMAL.inv_cdf((1 - share) * survival)) - age_s
        assert quantile(samples, share) == pytest.approx(expected, rel=0.03, abs=2e-3 * p50_s)


@settings(deadline=None)
@given(st.floats(0.1, 100), st.floats(1.01, 20), st.lists(st.floats(0, 1e5), min_size=2, max_size=6))
def test_the_longer_it_has_taken_the_later_it_ends(p50_s, ratio, ages):
    sigma = spread(Duration(p50_s, p50_s * ratio))
    ends = [np.sort(Remaining(p50_s, sigma, age_s).samples_s(RANKS)) + age_s for age_s in sorted(ages)]
    for earlier, later in itertools.pairwise(ends):
        assert (later >= earlier * (1 - 1e-4) - 1e-6).all()


@settings(deadline=None)
@given(st.floats(1e-3, 1e9), st.floats(0.01, 16), st.floats(0, 1e12))
def test_samples_are_finite_and_not_negative_whatever_happened(median_s, sigma, age_s):
    samples = Remaining(median_s, sigma, age_s).samples_s(RANKS)
    assert np.isfinite(samples).all()
    assert (samples >= 0).all()


def test_the_survival_table_is_the_normal_distribution():
    z_grid, log_survival = durations._normal_table()
    for z in (-4.0, -1.0, 0.0, 1.0, 4.0):
        assert np.interp(z, z_grid, log_survival) == pytest.approx(math.log(1 - NORMAL.cdf(z)), rel=1e-4)
    assert (np.diff(log_survival) < 0).all()


def test_ranks_are_stratified_and_depend_on_the_names_alone():
    assert sorted(RANKS) == pytest.approx([(i + 0.5) / 256 for i in range(256)])
    assert (ranks_of("chain", "task") == RANKS).all()
    assert (ranks_of("chain", "other") != RANKS).any()
    assert list(RANKS[:3]) == pytest.approx([0.861328125, 0.646484375, 0.654296875]), "other ranks on this machine"


DURATION = Duration(20.0, 40.0)


def test_without_a_report_the_clock_runs_from_the_beginning():
    left = remaining(DURATION, TaskState(TaskStatus.STARTED, began_s=5.0), played_s=12.0)
    assert (left.median_s, left.age_s) == (20.0, 7.0)


def test_an_estimate_counts_from_its_report():
    task = TaskState(TaskStatus.STARTED, began_s=0.0, eta_s=6.0, reported_s=10.0)
    left = remaining(DURATION, task, played_s=11.0)
    assert (left.median_s, left.age_s) == (6.0, 1.0)
    assert left.sigma == durations.ETA_SIGMA
    assert remaining(DURATION, TaskState(TaskStatus.STARTED, 0.0, eta_s=0.0, reported_s=1.0), 1.0).median_s == 0.05


@pytest.mark.parametrize(
    ("fraction", "spent_s", "median_s"),
    [
        (0.0, 10.0, 20.0),  # nothing done: the usual time
        (0.5, 10.0, math.sqrt(10.0 * 10.0)),  # as usual
        (0.5, 30.0, math.sqrt(10.0 * 30.0)),  # half at three times the usual time
        (1.0, 30.0, durations.SOON_S),
    ],
)
def test_a_fraction_blends_the_usual_time_and_the_pace(fraction, spent_s, median_s):
    task = TaskState(TaskStatus.STARTED, began_s=0.0, fraction=fraction, reported_s=spent_s)
    assert remaining(DURATION, task, spent_s).median_s == pytest.approx(median_s)


def test_the_more_is_done_the_surer_it_is():
    sigmas = [
        remaining(DURATION, TaskState(TaskStatus.STARTED, 0.0, None, done, reported_s=10.0), 10.0).sigma
        for done in (0.0, 0.3, 0.9, 1.0)
    ]
    assert sigmas == sorted(sigmas, reverse=True)
    assert sigmas[-1] == durations.SURE_SIGMA


def test_lateness_is_judged_by_a_heavier_tail():
    left = Remaining(20.0, 0.5, 200.0)
    assert left.survival < left.patience < 1
    assert Remaining(20.0, 0.5, 0.0).patience == 1.0
