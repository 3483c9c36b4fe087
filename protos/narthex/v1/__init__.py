"""Version 1 of the wire contract: messages in `*_pb2`, stubs in `*_pb2_grpc`."""
