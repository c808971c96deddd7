"""Keys whose values are not shown: whoever mistook one may have written the secret itself there."""

from __future__ import annotations

import re
from typing import Final

OF_SECRETS: Final = re.compile(
    r"(?:password|passphrase|identity|recipients|access_key|secret_key|session_token|token)(?:_env|_file|_command)?|dsn"
)
