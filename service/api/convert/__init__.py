"""The only place where protobuf becomes domain values and back."""
