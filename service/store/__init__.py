"""Bytes by their SHA-256, the catalogue of what they are, and the database."""
