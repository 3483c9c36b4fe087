"""Worlds, rules and real third-party games as clients of Narthex."""
