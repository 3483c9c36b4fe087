"""Walking over meshes: doors, steps, ceilings, ledges, and places where nobody can stand."""

import numpy as np
import pytest

from recon.errors import InvalidScene
from recon.mesh import Mesh, box, joined
from recon.reachability import Agent, Ground, Way, find_way

FLOOR = box(np.array([-2.0, 0.0, 0.0]), np.array([2.0, 0.2, 6.0]))
START, GOAL = np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 5.0])


def solid(low: list[float], high: list[float]) -> Mesh:
    return box(np.array(low), np.array(high))


def wall_with_a_door(width_m: float, top_m: float = 2.4) -> list[Mesh]:
    half = width_m / 2
    return [
        solid([-2.0, -2.6, 3.0], [-half, 0.0, 3.2]),
        solid([half, -2.6, 3.0], [2.0, 0.0, 3.2]),
        solid([-half, -2.6, 3.0], [half, -top_m, 3.2]),
    ]


def way(*solids: Mesh, agent: Agent | None = None) -> Way:
    return find_way(joined([FLOOR, *solids]), START, GOAL, agent)


def test_an_empty_floor_is_crossed_straight() -> None:
    found = way()
    assert found.reachable and found.reason == ""
    assert 3.1 < found.length_m < 4.6


@pytest.mark.parametrize(("width_m", "reachable"), [(1.2, True), (0.8, True), (0.5, False)])
def test_a_door_must_be_wider_than_the_agent(width_m: float, reachable: bool) -> None:
    assert way(*wall_with_a_door(width_m)).reachable is reachable


def test_a_smaller_agent_passes_where_a_larger_one_does_not() -> None:
    assert way(*wall_with_a_door(0.5), agent=Agent(radius_m=0.15)).reachable


@pytest.mark.parametrize(("top_m", "reachable"), [(2.2, True), (1.5, False)])
def test_a_door_must_be_higher_than_the_agent(top_m: float, reachable: bool) -> None:
    assert way(*wall_with_a_door(1.2, top_m)).reachable is reachable


@pytest.mark.parametrize(("height_m", "reachable"), [(0.2, True), (0.6, False)])
def test_a_step_is_climbed_and_a_ledge_is_not(height_m: float, reachable: bool) -> None:
    assert way(solid([-2.0, -height_m, 2.6], [2.0, 0.0, 3.6])).reachable is reachable


def test_stairs_lead_up_to_what_one_step_does_not_reach() -> None:
    stairs = [solid([-2.0, -0.2 * k, 1.2 + 0.3 * k], [2.0, 0.0, 4.5]) for k in range(1, 6)]
    goal = np.array([0.0, -1.0, 3.6])
    assert find_way(joined([FLOOR, *stairs]), START, goal).reachable
    assert not find_way(joined([FLOOR, stairs[-1]]), START, goal).reachable


def test_the_way_goes_around_what_stands_in_it() -> None:
    around = way(solid([-2.0, -2.0, 3.0], [1.0, 0.0, 3.2]))
    assert around.reachable and around.length_m > way().length_m + 0.3


def test_a_gap_in_the_floor_is_not_crossed() -> None:
    near, far = solid([-2.0, 0.0, 0.0], [2.0, 0.2, 2.5]), solid([-2.0, 0.0, 3.2], [2.0, 0.2, 6.0])
    found = find_way(joined([near, far]), START, GOAL)
    assert found == Way(False, float("inf"), "no way leads there")


def test_where_nobody_can_stand_is_said() -> None:
    inside = solid([-0.6, -1.5, 0.4], [0.6, 0.0, 1.6])
    assert way(inside).reason == "nobody can stand at the start"
    assert find_way(FLOOR, START, np.array([0.0, -1.5, 5.0])).reason == "nobody can stand at the goal"
    assert not find_way(joined([]), START, GOAL).reachable


def test_triangles_that_are_wound_the_other_way_carry_as_well() -> None:
    turned = Mesh(FLOOR.vertices, FLOOR.faces[:, ::-1])
    assert find_way(turned, START, GOAL).reachable


def test_the_ground_says_where_one_stands() -> None:
    ground = Ground(joined([FLOOR, solid([-2.0, -2.6, 3.0], [2.0, 0.0, 3.2])]), Agent())
    assert ground.stands_at(START) and not ground.stands_at(np.array([0.0, 0.0, 3.1]))
    assert not ground.stands_at(np.array([0.0, 0.0, 2.85])) and ground.stands_at(np.array([0.0, 0.0, 2.5]))


def test_a_mesh_too_large_and_agents_that_cannot_be_are_refused() -> None:
    with pytest.raises(InvalidScene, match="too large"):
        find_way(solid([0.0, 0.0, 0.0], [900.0, 300.0, 900.0]), START, GOAL)
    for sizes in ({"radius_m": 0.0}, {"height_m": 0.2}, {"step_m": -1.0}, {"radius_m": float("nan")}):
        with pytest.raises(InvalidScene, match="agent"):
            Agent(**sizes)
