"""Dump."""
