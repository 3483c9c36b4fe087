"""RulesService: a part of the contract that this version answers with UNIMPLEMENTED."""

from __future__ import annotations

from narthex.v1 import rules_service_pb2 as pb2

from service.api.call import Call, Door, endpoint
from service.errors import Unsupported

_MESSAGE = "this version plans by draft-first earliest deadline and takes no rules; worlds work without them"


class RulesService:
    """Every call is refused."""

    def __init__(self, door: Door) -> None:
        self.door = door

    @endpoint()
    async def CheckRules(self, request: pb2.CheckRulesRequest, call: Call) -> pb2.CheckRulesResponse:
        """Raises Unsupported."""
        raise Unsupported(_MESSAGE, reason="NO_RULES_YET")

    @endpoint()
    async def PutRules(self, request: pb2.PutRulesRequest, call: Call) -> pb2.Rules:
        """Raises Unsupported."""
        raise Unsupported(_MESSAGE, reason="NO_RULES_YET")

    @endpoint()
    async def GetRules(self, request: pb2.GetRulesRequest, call: Call) -> pb2.Rules:
        """Raises Unsupported."""
        raise Unsupported(_MESSAGE, reason="NO_RULES_YET")
