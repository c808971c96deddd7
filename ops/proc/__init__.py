"""The only door to other processes: programs of others, and our own code in worker processes.

Programs get argument lists (never a shell string), bulk data goes through files (never through Python), and
they end together with everything they started: at a time-out, when the wait for them is given up, and, where
the kernel can do that, when we are killed.
"""

from ops.proc.coprocess import Coprocess, start_coprocess
from ops.proc.fork import start_copies
from ops.proc.query import Answer, ask_program
from ops.proc.run import Completed, find_program, run_program
from ops.proc.server import ServerProcess, start_server
from ops.proc.workers import run_in_workers, worker_count

__all__ = [
    "Answer",
    "Completed",
    "Coprocess",
    "ServerProcess",
    "ask_program",
    "find_program",
    "run_in_workers",
    "run_program",
    "start_copies",
    "start_coprocess",
    "start_server",
    "worker_count",
]
