"""What every client of Narthex needs, game or engine: report, hear, download, decide what is shown.

It imports the generated stubs `narthex.v1` and grpc, nothing else of ours: copy this folder to start your own.
"""
