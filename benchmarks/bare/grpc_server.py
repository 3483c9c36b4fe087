"""grpc.aio with nothing behind it: the same messages, parsed and serialized, from memory.

    python -m benchmarks.bare.grpc_server PORT_FILE ASSET_FILE

Answers ReportEvents (one constant response), ReadAsset (the asset's messages, held in memory from the start), and
WatchSession (one update, then silence) under their own names, so that one client measures both servers.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import grpc

from narthex.v1 import asset_service_pb2, asset_service_pb2_grpc, play_service_pb2, play_service_pb2_grpc, session_pb2
from service.cli.serve import write_port

PIECE_BYTES = 256 * 1024


class BarePlay(play_service_pb2_grpc.PlayServiceServicer):
    """Answers and forgets."""

    async def ReportEvents(self, request: Any, context: Any) -> play_service_pb2.ReportEventsResponse:
        """A response of the same size as the real one."""
        return play_service_pb2.ReportEventsResponse(applied_sequence=request.events[-1].sequence)

    async def WatchSession(self, request: Any, context: Any) -> None:
        """One update, then nothing until the client goes."""
        await context.write(session_pb2.SessionUpdate(cursor=1))
        await asyncio.get_running_loop().create_future()


class BareAssets(asset_service_pb2_grpc.AssetServiceServicer):
    """Streams one asset from memory."""

    def __init__(self, data: bytes) -> None:
        self._messages = [
            asset_service_pb2.ReadAssetResponse(
                data=data[start : start + PIECE_BYTES], offset_bytes=start, total_bytes=len(data)
            )
            for start in range(0, len(data), PIECE_BYTES)
        ]

    async def ReadAsset(self, request: Any, context: Any) -> None:
        """Every message of the asset."""
        for message in self._messages:
            await context.write(message)


async def main(port_file: Path, asset_file: Path) -> None:
    """Serve until SIGTERM."""
    server = grpc.aio.server()
    play_service_pb2_grpc.add_PlayServiceServicer_to_server(BarePlay(), server)
    asset_service_pb2_grpc.add_AssetServiceServicer_to_server(BareAssets(asset_file.read_bytes()), server)
    port = server.add_insecure_port("127.0.0.1:0")
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await server.start()
    write_port(port_file, port)
    await stopping.wait()
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
