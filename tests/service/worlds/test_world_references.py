"""Names, cycles and order of tasks, against plain definitions of them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from service.worlds.references import cycles, in_order, names_in, reference_problems
from service.worlds.world import NOTHING, All, Duration, Task, TaskChain, TaskDone, is_met, tasks_named
from service.worlds.world import Any as AnyPart
from service.worlds.yaml_text import read_yaml

NAMES = list("abcdef")
graphs = st.fixed_dictionaries({name: st.lists(st.sampled_from([*NAMES, "?"]), max_size=3) for name in NAMES})


def reachable(graph, start):
    seen, waiting = set(), [start]
    while waiting:
        for name in graph.get(waiting.pop(), ()):
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return seen


@given(graphs)
@settings(max_examples=100, deadline=None)
def test_cycles_are_found_exactly_where_there_are_some(graph):
    found = cycles(graph)
    for cycle in found:
        assert len(set(cycle)) == len(cycle)
        for name, following in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            assert following in graph[name]
    assert bool(found) == any(name in reachable(graph, name) for name in graph)


@given(graphs)
@settings(max_examples=100, deadline=None)
def test_the_order_puts_every_task_after_what_it_requires(graph):
    tree = {name: [other for other in others if other in NAMES and other < name] for name, others in graph.items()}
    ordered = in_order(tree)
    assert sorted(ordered) == NAMES
    for name, others in tree.items():
        assert all(ordered.index(other) < ordered.index(name) for other in others)


def test_without_requirements_the_order_is_that_of_the_file():
    assert in_order({"c": [], "a": [], "b": []}) == ["c", "a", "b"]
    assert in_order({}) == []


def test_a_task_that_requires_itself_and_two_cycles_are_each_told_once():
    source = b"chains: {c: {tasks: {\n a: {requires: a},\n b: {requires: c},\n c: {requires: {any: [d, b]}},\n d: {}}}}"
    found = reference_problems(read_yaml(source))
    assert [(problem.line, problem.field, problem.text) for problem in found] == [
        (2, "chains.c.tasks.a.requires", "got the cycle a -> a, allowed requirements that end somewhere"),
        (3, "chains.c.tasks.b.requires", "got the cycle b -> c -> b, allowed requirements that end somewhere"),
    ]


def test_broken_parts_do_not_stop_the_check_of_others():
    source = b"chains: {c: 7, d: {tasks: [1]}, e: {tasks: {x: null, y: {requires: z}}}}\ngates: {g: 1, h: {chain: [2]}}"
    assert [problem.field for problem in reference_problems(read_yaml(source))] == ["chains.e.tasks.y.requires"]
    for source in (b"7", b"[]", b"chains: 1\ngates: 2"):
        assert reference_problems(read_yaml(source)) == []


def test_names_come_with_their_paths():
    written = {"all": ["a", {"any": ["b", 7, {"all": "c"}]}]}
    assert list(names_in(written, ("r",))) == [("a", ("r", "all", 0)), ("b", ("r", "all", 1, "any", 0))]


def test_requirements_are_met_by_what_is_done():
    a, b, c = TaskDone("a"), TaskDone("b"), TaskDone("c")
    requirement = All((a, AnyPart((b, c))))
    truth = {
        done: is_met(requirement, lambda task, done=done: task in done) for done in ("", "a", "b", "ab", "ac", "bc")
    }
    assert truth == {"": False, "a": False, "b": False, "ab": True, "ac": True, "bc": False}
    assert is_met(NOTHING, lambda task: False)
    assert not is_met(AnyPart(()), lambda task: True)
    assert tasks_named(All((a, AnyPart((b, a)), c))) == ("a", "b", "c")


def test_a_chain_knows_followers_ends_and_branches():
    def task(name, requires=NOTHING, chance=1.0):
        return Task(name, name, requires, Duration(1.0, 2.0), chance)

    tasks = [task("a"), task("b", TaskDone("a"), 0.7), task("c", TaskDone("a")), task("d", All((TaskDone("b"),)))]
    chain = TaskChain("x", "x", {each.task: each for each in tasks}, 0.0)
    assert chain.followers == {"a": ("b", "c"), "b": ("d",), "c": (), "d": ()}
    assert chain.end_tasks == ("c", "d")
    assert chain.branches == (("b", "c"),)
