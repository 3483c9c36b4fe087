"""Live sessions: the durable journal of events, updates to watchers, planning and hand-over."""
