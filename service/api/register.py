"""Puts a servicer into a gRPC server by its descriptor, with a serializer that lets prebuilt bytes through."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass


def add_service(server: grpc.aio.Server, service: ServiceDescriptor, servicer: object) -> str:
    """The full name of the service, whose every method `servicer` has (else AttributeError at start-up)."""
    handlers = {method.name: _handler(method, getattr(servicer, method.name)) for method in service.methods}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
    return str(service.full_name)


def _handler(method: MethodDescriptor, behaviour: Any) -> grpc.RpcMethodHandler[Any, Any]:
    make = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
    return make(
        behaviour,
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=_serialize,
    )


def _serialize(message: Message | bytes) -> bytes:
    # ReadAsset frames its messages itself (asset_stream.py): a piece is copied once less on its way.
    return message if isinstance(message, bytes) else message.SerializeToString()
