"""Ingest monitor."""
