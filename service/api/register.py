"""Puts a servicer into a gRPC server by its descriptor, with a serializer that lets prebuilt bytes through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from service.api.call import Malformed


def add_service(server: grpc.aio.Server, service: ServiceDescriptor, servicer: object) -> str:
    """The full name of the service, whose every method `servicer` has (else AttributeError at start-up)."""
    handlers = {method.name: _handler(method, getattr(servicer, method.name)) for method in service.methods}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
    return str(service.full_name)


def _handler(method: MethodDescriptor, behaviour: Any) -> grpc.RpcMethodHandler[Any, Any]:
    make = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
    return make(
        behaviour,
        request_deserializer=_parser(GetMessageClass(method.input_type)),
        response_serializer=_serialize,
    )


def _parser(kind: type[Message]) -> Callable[[bytes], Message | Malformed]:
    def parse(data: bytes) -> Message | Malformed:
        try:
            return kind.FromString(data)
        except DecodeError:
            # grpcio would answer UNKNOWN and log a traceback: what clients send is no fault of ours.
            return Malformed(kind.DESCRIPTOR.full_name, len(data))

    return parse


def _serialize(message: Message | bytes) -> bytes:
    # ReadAsset frames its messages itself (asset_stream.py): a piece is copied once less on its way.
    return message if isinstance(message, bytes) else message.SerializeToString()
