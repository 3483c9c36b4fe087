"""Every number that a document states is printed by a command here."""
