"""The gRPC server: wire messages to domain values and back, keys, limits, statuses."""
