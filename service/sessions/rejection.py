"""Why an event was not applied, in a form that can be stored: a repeat of the event gets the same error."""

from __future__ import annotations

import json

from service.errors import FieldProblem, InvalidInput, NotApplicable, ServiceError

_KINDS: dict[str, type[ServiceError]] = {kind.__name__: kind for kind in (InvalidInput, NotApplicable)}


def rejection_json(error: ServiceError) -> str:
    """The stored form of an error that `service.play.session.apply` raised."""
    fields = [[problem.field, problem.message] for problem in error.fields]
    kind = type(error).__name__ if type(error).__name__ in _KINDS else NotApplicable.__name__
    return json.dumps({"kind": kind, "message": error.message, "reason": error.reason, "fields": fields})


def rejection_error(text: str) -> ServiceError:
    """The error that `rejection_json` stored. Raises ValueError for a text of another origin."""
    try:
        stored = json.loads(text)
        fields = tuple(FieldProblem(str(field), str(message)) for field, message in stored["fields"])
        return _KINDS[stored["kind"]](stored["message"], reason=stored["reason"], fields=fields)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a stored rejection: {text[:80]!r}") from error


def for_call(error: ServiceError, index: int, applied_sequence: int) -> ServiceError:
    """The error as the caller gets it: its fields within `events[index]`, and after which number to go on."""
    prefix = f"events[{index}]"
    fields = tuple(FieldProblem(f"{prefix}.{problem.field}", problem.message) for problem in error.fields)
    metadata = {**error.metadata, "applied_sequence": str(applied_sequence)}
    return type(error)(error.message, reason=error.reason, fields=fields, metadata=metadata)
