"""Driverkit."""
