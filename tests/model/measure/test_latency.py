import pytest
import torch

from model.generate import Generator
from model.measure.latency import latency_figures, recorded
from model.spec import SegmentSpec


def test_the_bare_passes_are_those_of_the_segment(generator: Generator, spec: SegmentSpec) -> None:
    figures = latency_figures(generator, spec, repeats=1)
    assert figures["forwards"] == spec.steps
    assert figures["bare_ms"] == pytest.approx(figures["forwards"] * figures["forward_ms"] + figures["decode_ms"])
    assert figures["latency_over_bare"] == pytest.approx(figures["latency_ms"] / figures["bare_ms"])


def test_calls_are_recorded_with_their_arguments_and_only_while_asked() -> None:
    layer = torch.nn.Linear(2, 2)
    inputs = torch.ones(1, 2)
    with recorded(layer) as calls:
        layer(inputs)
        layer(input=inputs)
    layer(inputs)
    assert calls == [((inputs,), {}), ((), {"input": inputs})]
