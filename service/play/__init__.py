"""Play state: pure state machines that fold events into what is known of a session. No I/O, no clock."""
