"""Worlds: what designers write, as frozen values, and the YAML files they come from."""
