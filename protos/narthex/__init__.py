"""The wire contract of Narthex, generated from `protos/narthex/v1`."""
