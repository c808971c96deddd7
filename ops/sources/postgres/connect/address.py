"""How to reach a database: libpq's keywords, without the password, and the password apart from them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self
from urllib.parse import parse_qsl, quote, unquote

from ops.errors import ConfigError

_SCHEMES: Final = ("postgresql://", "postgres://")
_PAIR: Final = re.compile(r"\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))\s*", re.DOTALL)
_SECRET_KEYWORDS: Final = ("password", "sslpassword", "oauth_client_secret")
_KEEPALIVES: Final = {"keepalives_idle": "60", "keepalives_interval": "10", "keepalives_count": "6"}
_PASSED_ON: Final = (
    "PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "USER", "LOGNAME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
)  # fmt: skip
_PASSED_ON_PREFIXES: Final = ("LC_", "KRB5", "SSL_CERT_")
# By their names: not everything that begins with PG is libpq's, a passphrase in PGP_PASSPHRASE for instance.
# https://www.postgresql.org/docs/current/libpq-envars.html, and what older versions had
_LIBPQ: Final = frozenset("PG" + name for name in (
    "APPNAME", "CHANNELBINDING", "CLIENTENCODING", "CONNECT_TIMEOUT", "DATABASE", "DATESTYLE", "GEQO", "GSSDELEGATION",
    "GSSENCMODE", "GSSLIB", "HOST", "HOSTADDR", "KRBSRVNAME", "LOADBALANCEHOSTS", "LOCALEDIR", "MAXPROTOCOLVERSION",
    "MINPROTOCOLVERSION", "OAUTHDEBUG", "OPTIONS", "PASSFILE", "PASSWORD", "PORT", "REQUIREAUTH", "REQUIREPEER",
    "REQUIRESSL", "SERVICE", "SERVICEFILE", "SSLCERT", "SSLCERTMODE", "SSLCOMPRESSION", "SSLCRL", "SSLCRLDIR", "SSLKEY",
    "SSLMAXPROTOCOLVERSION", "SSLMINPROTOCOLVERSION", "SSLMODE", "SSLNEGOTIATION", "SSLROOTCERT", "SSLSNI",
    "SYSCONFDIR", "TARGETSESSIONATTRS", "TZ", "USER",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Address:
    """One database, by libpq's keywords (https://www.postgresql.org/docs/current/libpq-connect.html).

    What is not said here comes from the environment, a service file or libpq's defaults.
    """

    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def database(self) -> str:
        """The database's name, empty when the environment decides."""
        return dict(self.parameters).get("dbname", "")

    @property
    def conninfo(self) -> str:
        """The keyword/value text that libpq programs and drivers take; never holds a password."""
        return " ".join(f"{key}={_escaped(value)}" for key, value in self.parameters)

    @property
    def location(self) -> str:
        """For people, and to be given as `--to`: a URI with user, host, port and database, nothing else."""
        values = dict(self.parameters)
        if "service" in values:
            return f"postgresql:///{quote(self.database)}?service={quote(values['service'])}"
        user = f"{quote(values['user'])}@" if "user" in values else ""
        host, port = values.get("host", ""), values.get("port", "")
        if host.startswith("/"):
            rest = f"&port={port}" if port else ""
            return f"postgresql://{user}/{quote(self.database)}?host={quote(host)}{rest}"
        hosts = ",".join(
            f"{name}:{number}" if number else name for name, number in _hosts_with_ports(host, port)
        )
        return f"postgresql://{user}{hosts}/{quote(self.database)}"

    def hosts(self, environ: Mapping[str, str] = os.environ) -> list[str]:
        """Where libpq will connect: host names, addresses and socket folders; what a service file says is not read.

        Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS (hostaddr goes first)
        """
        values = dict(self.parameters)
        for keyword, variable in (("hostaddr", "PGHOSTADDR"), ("host", "PGHOST")):
            if given := values.get(keyword):
                return given.split(",")
            if "service" not in values and "PGSERVICE" not in environ and (given := environ.get(variable)):
                return given.split(",")
        if service := values.get("service") or environ.get("PGSERVICE"):
            return [f"service {service}"]
        return [""]

    @property
    def lasting(self) -> Address:
        """The same, so that a partner that is gone without a word is noticed in about two minutes, not hours."""
        return Address(tuple({**_KEEPALIVES, **dict(self.parameters)}.items()))

    def with_database(self, name: str) -> Self:
        """Another database of the same server."""
        return self.with_parameters(dbname=name)

    def with_parameters(self, **values: str) -> Self:
        """The same with these keywords replaced or added."""
        return replace(self, parameters=tuple({**dict(self.parameters), **values}.items()))

    def with_options(self, more: str, before: str = "") -> Self:
        """The same with further startup options behind its own, or behind those of `before` where it has none."""
        own = dict(self.parameters).get("options") or before
        return self.with_parameters(options=f"{own} {more}".strip())


def parse_address(dsn: str) -> Address:
    """The address that a URI (`postgresql://…`) or a keyword text (`host=… dbname=…`) means.

    Raises ConfigError when it cannot be read, and when it holds a password.
    """
    values = _parse_uri(dsn) if dsn.startswith(_SCHEMES) else _parse_pairs(dsn)
    if any(keyword in values for keyword in _SECRET_KEYWORDS):
        message = "a password must not stand in an address (dsn)"
        hint = "remove it; use password_file, password_env, password_command, or ~/.pgpass"
        raise ConfigError(message, code="config.secret_in_file", hint=hint)
    return Address(tuple(values.items()))


def _parse_uri(dsn: str) -> dict[str, str]:
    rest, _, query = dsn.split("://", 1)[1].partition("?")
    place, slash, database = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    values = {}
    if at:
        name, colon, _password = user.partition(":")
        values["user"] = unquote(name)
        if colon:
            values["password"] = ""
    if hosts:
        pairs = [re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d*))?", one) for one in hosts.split(",")]
        if not all(pairs):
            # Not shown: it is what a password with a slash in it looks like.
            hint = "write postgresql://USER@HOST:PORT/DATABASE, without a password"
            raise ConfigError("what stands for the host in an address (dsn) is none", hint=hint)
        values["host"] = ",".join(unquote(pair[1]).strip("[]") for pair in pairs if pair)
        values["port"] = ",".join(pair[2] or "" for pair in pairs if pair)
    if slash and database:
        values["dbname"] = unquote(database)
    values |= dict(parse_qsl(query, keep_blank_values=True))
    return {key: value for key, value in values.items() if value or key == "password"}


def _parse_pairs(dsn: str) -> dict[str, str]:
    values, at = {}, 0
    while at < len(dsn):
        match = _PAIR.match(dsn, at)
        if match is None or match.end() == at:
            hint = "write postgresql://USER@HOST/DATABASE, or host=… dbname=…"
            raise ConfigError("an address (dsn) cannot be read", hint=hint)
        values[match[1]] = re.sub(r"\\(.)", r"\1", match[3] if match[2] is None else match[2])
        at = match.end()
    return values


def _hosts_with_ports(hosts: str, ports: str) -> list[tuple[str, str]]:
    names, numbers = hosts.split(","), ports.split(",")
    numbers += [numbers[0] if len(numbers) == 1 else ""] * (len(names) - len(numbers))
    return [
        (f"[{name}]" if ":" in name else name, number) for name, number in zip(names, numbers, strict=False)
    ]


def _escaped(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def client_environment(
    environ: Mapping[str, str] = os.environ, *, with_password: bool = True
) -> dict[str, str]:
    """What of our environment a PostgreSQL client needs: libpq's own names, locale and paths; no other secret.

    `with_password`: whether it is to connect to a server for which `PGPASSWORD` may be meant.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if name in _PASSED_ON or name in _LIBPQ or name.startswith(_PASSED_ON_PREFIXES)
    }
    return kept if with_password else {name: kept[name] for name in kept if name != "PGPASSWORD"}
