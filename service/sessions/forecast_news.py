"""Forecast news: which gates are expected at another time than a session's watchers were told. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from service.ids import GateId
from service.play.forecast import GateForecast
from service.sessions.live import LiveSession, ToldForecast, forecast_view
from service.sessions.views import ForecastChanged

SHARE = 0.05
"""A forecast is news where its time or chance is off by more than this share from what was told."""

LEAST_S = 1.0
"""Times are compared as if they were at least this long: a gate that opens at once needs no news every turn."""

TELL_EVERY_S = 0.5
"""Between two updates on one gate's time; a changed chance is told at once."""


def forecast_news(
    session: LiveSession, forecasts: Mapping[GateId, GateForecast], now_s: float
) -> Iterator[ForecastChanged]:
    """What to tell of closed gates, noted as told."""
    for gate, forecast in forecasts.items():
        at, told = session.state.gates[gate], session.told_forecasts.get(gate)
        if at.opened:
            session.told_forecasts.pop(gate, None)
        elif told is None or _is_news(session, told, forecast, now_s):
            view = forecast_view(forecast)
            session.told_forecasts[gate] = ToldForecast(view, now_s)
            yield ForecastChanged(gate, view)


def _is_news(session: LiveSession, told: ToldForecast, forecast: GateForecast, now_s: float) -> bool:
    # Told at once, however new the last news is: a gate that died may never be looked at again.
    if abs(forecast.reach_chance - told.forecast.reach_chance) > SHARE:
        return True
    if now_s - told.time_s < TELL_EVERY_S:
        return False
    aged_s = 0.0 if session.state.paused else now_s - told.time_s
    pairs = ((told.forecast.p50_s, forecast.p50_s), (told.forecast.p90_s, forecast.p90_s))
    return any(_differs(max(0.0, before_s - aged_s), after_s) for before_s, after_s in pairs)


def _differs(expected_s: float, got_s: float) -> bool:
    return abs(got_s - expected_s) > SHARE * max(expected_s, got_s, LEAST_S)
