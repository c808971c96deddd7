"""The only code that writes to final paths: staging, atomic publication, copying, locks, scratch places, space.

Nothing here knows what a backup is. Imports errors, model, units, progress only.
"""
