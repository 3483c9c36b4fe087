"""The narthex command line."""
