"""``llmtap token``: what programs show the console in place of a password. Shown once; what is kept is a hash."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ..clock import rfc3339, wall_us
from ..config import Config
from ..console import figures
from .options import hint, with_config
from .terminal import Terminal, printable
from .user import ROLES_HELP, accounts_of, role_option

if TYPE_CHECKING:
    from ..store.accounts import Token

_DAYS_MAX = 3_650
_DAY_US = 86_400_000_000


@click.group()
def token() -> None:
    """Tokens of programs, sent to the console as "Authorization: Bearer TOKEN"."""


@token.command(epilog=ROLES_HELP)
@click.argument("name")
@role_option
@click.option(
    "--days", type=click.IntRange(1, _DAYS_MAX), default=90, show_default=True, help="How long it opens anything."
)
@click.option("--never-expires", is_flag=True, help="It does so until it is revoked.")
@with_config()
def create(config: Config, name: str, roles: tuple[str, ...], days: int, never_expires: bool) -> None:
    """Make a token; it is printed, this once, on a line of its own."""
    from ..console.access.passwords import TAIL, checked_name, digest, new_token
    from ..store.accounts import Token
    from .user import grants_of

    secret, now_us = new_token(), wall_us()
    made = Token(
        id=0,
        name=checked_name(name),
        tail=secret[-TAIL:],
        grants=grants_of(roles),
        made_by="command line",
        created_at_us=now_us,
        expires_at_us=None if never_expires else now_us + days * _DAY_US,
        used_at_us=None,
        revoked_at_us=None,
    )
    accounts_of(config).add_token(made, digest(secret))
    print(secret)
    print("this is the only time it is shown", file=sys.stderr)


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each token.")
@with_config()
def list_tokens(config: Config, as_json: bool) -> None:
    """All tokens: what they allow, until when, and when they were used last."""
    tokens = accounts_of(config).tokens()
    if not tokens and not as_json:
        print(f"none yet; {hint('token create NAME --role viewer', config.data_dir)}")
    terminal, now_us = Terminal(), wall_us()
    for each in tokens:
        print(_json(each) if as_json else _line(each, terminal, now_us))


@token.command()
@click.argument("name")
@with_config()
def revoke(config: Config, name: str) -> None:
    """End a token, by its name or its number; it opens nothing from now on."""
    ended = accounts_of(config).revoke(name, wall_us())
    print(f"{ended.name} is revoked")


def _line(each: Token, terminal: Terminal, now_us: int) -> str:
    used = f"used {figures.date_time(each.used_at_us)}" if each.used_at_us else "never used"
    about = terminal.paint(f"…{each.tail}, {_until(each, now_us)}, {used}", "dim")
    return f"{each.id}  {terminal.paint(each.name, 'bold')}  {printable(_roles(each))}  {about}"


def _until(each: Token, now_us: int) -> str:
    if each.revoked_at_us is not None:
        return "revoked"
    if each.expires_at_us is None:
        return "never expires"
    return f"{'expires' if each.live(now_us) else 'expired'} {figures.date_time(each.expires_at_us)}"


def _roles(each: Token) -> str:
    from ..console.permissions import grant_text

    return ", ".join(map(grant_text, each.grants))


def _json(each: Token) -> str:
    import json

    from ..console.permissions import grant_text

    times = {
        "created_at": each.created_at_us,
        "expires_at": each.expires_at_us,
        "last_used_at": each.used_at_us,
        "revoked_at": each.revoked_at_us,
    }
    found = {
        "id": each.id,
        "name": each.name,
        "roles": [grant_text(grant) for grant in each.grants],
        "ends_in": each.tail,
        "made_by": each.made_by,
        **{name: None if at_us is None else rfc3339(at_us) for name, at_us in times.items()},
    }
    return json.dumps(found, separators=(",", ":"))
