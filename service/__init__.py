"""The Narthex service: worlds, play state, prefetch plan, durable work, content store, API and command line."""
