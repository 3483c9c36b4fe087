"""grpc.aio with nothing behind it: the same messages, parsed and serialized, from memory.

    python -m benchmarks.bare.grpc_server PORT_FILE ASSET_FILE

Answers ReportEvents (one constant response), ReadAsset (the asset's messages, held in memory from the start), and
WatchSession (silence) under their own names, so that one client measures both servers.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
from narthex.v1 import asset_service_pb2, play_service_pb2, session_pb2

from service.cli.serve import write_port

PIECE_BYTES = 256 * 1024


class BarePlay:
    """Answers and forgets."""

    async def report_events(self, request: Any, context: Any) -> play_service_pb2.ReportEventsResponse:
        """A response of the same size as the real one."""
        return play_service_pb2.ReportEventsResponse(applied_sequence=request.events[-1].sequence)

    async def watch_session(self, request: Any, context: Any) -> None:
        """Nothing until the client goes."""
        await context.send_initial_metadata(())
        await asyncio.get_running_loop().create_future()

    def handler(self) -> grpc.GenericRpcHandler[Any, Any]:
        """The service, as generated code would register it."""
        report = grpc.unary_unary_rpc_method_handler(
            self.report_events,
            request_deserializer=play_service_pb2.ReportEventsRequest.FromString,
            response_serializer=play_service_pb2.ReportEventsResponse.SerializeToString,
        )
        watch = grpc.unary_stream_rpc_method_handler(
            self.watch_session,
            request_deserializer=play_service_pb2.WatchSessionRequest.FromString,
            response_serializer=session_pb2.SessionUpdate.SerializeToString,
        )
        methods = {"ReportEvents": report, "WatchSession": watch}
        return grpc.method_handlers_generic_handler("narthex.v1.PlayService", methods)


class BareAssets:
    """Streams one asset from memory, its messages serialized before anybody asks: grpcio has only to send them."""

    def __init__(self, data: bytes) -> None:
        self._messages = [
            asset_service_pb2.ReadAssetResponse(
                data=data[start : start + PIECE_BYTES], offset_bytes=start, total_bytes=len(data)
            ).SerializeToString()
            for start in range(0, len(data), PIECE_BYTES)
        ]

    async def read_asset(self, request: Any, context: Any) -> None:
        """Every message of the asset."""
        for message in self._messages:
            await context.write(message)

    def handler(self) -> grpc.GenericRpcHandler[Any, Any]:
        """The service, without a serializer."""
        read = grpc.unary_stream_rpc_method_handler(
            self.read_asset, request_deserializer=asset_service_pb2.ReadAssetRequest.FromString
        )
        return grpc.method_handlers_generic_handler("narthex.v1.AssetService", {"ReadAsset": read})


async def main(port_file: Path, asset: bytes) -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((BarePlay().handler(), BareAssets(asset).handler()))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    write_port(port_file, port)
    # SIGTERM just ends the process: it has nothing to lose.
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
