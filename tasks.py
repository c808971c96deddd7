"""Drillbook's tasks for Invoke. A project of its own does the same, beside its own tasks (see the README)."""

from ops.tasks import collection

namespace = collection()
