"""Durable jobs, and the worker that does them chunk by chunk."""
