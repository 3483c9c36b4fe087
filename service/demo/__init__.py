"""What `narthex demo` and `narthex play` are made of: clients of the wire contract that watch, draw and report.

Nothing here sees the inside of the server: everything is learnt over gRPC (`narthex.v1`) or from the recording
of the playing client.
"""
