"""Sessions and their updates on the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from narthex.v1 import event_pb2, session_pb2

from service.api.convert.content import content_ref, manifest, quality_number
from service.api.convert.names import bad_field, timestamp, to_name
from service.play.event import ChainSnapshot
from service.sessions import views

MAX_PROFILE_FORMATS = 32
MAX_FORMAT_CHARACTERS = 128
_CURVES = {
    views.Curve.LINEAR: session_pb2.CURVE_LINEAR,
    views.Curve.SMOOTHSTEP: session_pb2.CURVE_SMOOTHSTEP,
}


def to_profile(message: session_pb2.ClientProfile, path: str) -> views.ClientProfile:
    """What a client can take. Raises InvalidInput for negative limits and formats that cannot be media types."""
    if len(message.formats) > MAX_PROFILE_FORMATS:
        raise bad_field(f"{path}.formats", f"got {len(message.formats)} formats, allowed 0 .. {MAX_PROFILE_FORMATS}")
    for index, media_type in enumerate(message.formats):
        if not 1 <= len(media_type) <= MAX_FORMAT_CHARACTERS or "/" not in media_type:
            got = media_type[:MAX_FORMAT_CHARACTERS]
            raise bad_field(f"{path}.formats[{index}]", f"got {got!r}, expected a media type such as video/mp4")
    for name in ("max_splats", "max_bytes", "bandwidth_bps"):
        if getattr(message, name) < 0:
            raise bad_field(f"{path}.{name}", f"got {getattr(message, name)}, allowed 0 (no limit) and up")
    return views.ClientProfile(tuple(message.formats), message.max_splats, message.max_bytes, message.bandwidth_bps)


def session_message(view: views.SessionView) -> session_pb2.Session:
    """The wire's form of a session."""
    return session_pb2.Session(
        name=to_name("sessions", view.session_id),
        world=to_name("worlds", view.world_id),
        world_revision=view.world_revision,
        profile=session_pb2.ClientProfile(
            formats=view.profile.formats,
            max_splats=view.profile.max_splats,
            max_bytes=view.profile.max_bytes,
            bandwidth_bps=view.profile.bandwidth_bps,
        ),
        players=view.players,
        state=_number(view.status),
        applied_sequence=view.applied_sequence,
        cursor=view.cursor,
        create_time=timestamp(view.create_s),
        snapshot=event_pb2.PlaySnapshot(chains=map(chain_message, view.chains), opened_gates=view.opened_gates),
        gates=map(_gate, view.gates),
    )


def update_message(update: views.Update) -> session_pb2.SessionUpdate:
    """The wire's form of an update."""
    message = session_pb2.SessionUpdate(
        cursor=update.cursor, update_time=timestamp(update.time_s), trace_id=update.trace_id
    )
    _KINDS[type(update.kind)](message, update.kind)
    return message


def chain_message(chain: ChainSnapshot) -> event_pb2.ChainSnapshot:
    """The wire's form of a chain's state."""
    tasks = [
        event_pb2.TaskSnapshot(
            task=task.task, status=_number(task.status), fraction=task.fraction, elapsed_s=task.elapsed_s
        )
        for task in chain.tasks
    ]
    return event_pb2.ChainSnapshot(chain=chain.chain, status=_number(chain.status), tasks=tasks)


def _number(value: int) -> Any:
    # Domain enums have the wire's numbers; tests/service/api/test_convert_session.py compares every name.
    return int(value)


def _gate(gate: views.GateView) -> session_pb2.GateState:
    return session_pb2.GateState(
        gate=gate.gate,
        opened=gate.opened,
        forecast=_forecast(gate.gate, gate.forecast) if gate.forecast else None,
        announced=quality_number(gate.announced),
        ready=quality_number(gate.ready),
        shown=quality_number(gate.shown),
    )


def _forecast(gate: str, forecast: views.ForecastView) -> session_pb2.GateForecast:
    return session_pb2.GateForecast(
        gate=gate, p50_s=forecast.p50_s, p90_s=forecast.p90_s, reach_chance=forecast.reach_chance
    )


def _chain_changed(message: session_pb2.SessionUpdate, kind: views.ChainChanged) -> None:
    message.chain_changed.chain.CopyFrom(chain_message(kind.chain))


def _forecast_changed(message: session_pb2.SessionUpdate, kind: views.ForecastChanged) -> None:
    message.forecast_changed.CopyFrom(_forecast(kind.gate, kind.forecast))


def _announced(message: session_pb2.SessionUpdate, kind: views.ContentAnnounced) -> None:
    part = message.content_announced
    part.gate, part.reused = kind.gate, kind.reused
    part.content.CopyFrom(content_ref(kind.content))
    part.video.CopyFrom(manifest(kind.video))
    part.scene.CopyFrom(manifest(kind.scene))


def _handover(message: session_pb2.SessionUpdate, kind: views.HandoverStarted) -> None:
    part = message.handover
    part.gate, part.start_s, part.duration_s = kind.gate, kind.start_s, kind.duration_s
    # `from` is a word of Python's, so the field can only be reached by name.
    getattr(part, "from").CopyFrom(content_ref(kind.origin))
    part.to.CopyFrom(content_ref(kind.target))
    part.curve = _CURVES[kind.curve]


def _work(message: session_pb2.SessionUpdate, kind: views.WorkChanged) -> None:
    message.work_changed.CopyFrom(
        session_pb2.WorkChanged(
            gate=kind.gate,
            quality=quality_number(kind.quality),
            state=_number(kind.state),
            stage=kind.stage,
            chunks_done=kind.chunks_done,
            chunks_total=kind.chunks_total,
            left_s=kind.left_s,
            spent_s=kind.spent_s,
        )
    )


def _rejected(message: session_pb2.SessionUpdate, kind: views.EventRejected) -> None:
    part = message.event_rejected
    part.event_id, part.sequence, part.reason = kind.event_id, kind.sequence, kind.reason


def _closed(message: session_pb2.SessionUpdate, _: views.SessionClosed) -> None:
    message.session_closed.SetInParent()


def _replaced(message: session_pb2.SessionUpdate, kind: views.SessionReplaced) -> None:
    message.session_replaced.CopyFrom(session_message(kind.session))


_KINDS: dict[type, Callable[[session_pb2.SessionUpdate, Any], None]] = {
    views.ChainChanged: _chain_changed,
    views.ForecastChanged: _forecast_changed,
    views.ContentAnnounced: _announced,
    views.HandoverStarted: _handover,
    views.WorkChanged: _work,
    views.EventRejected: _rejected,
    views.SessionClosed: _closed,
    views.SessionReplaced: _replaced,
}
