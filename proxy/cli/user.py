"""``llmtap user``: the people who may log in to the console. Passwords are asked for, never an argument."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ..clock import rfc3339, wall_us
from ..config import Config
from ..console import figures
from ..errors import UsageError
from .options import hint, with_config
from .terminal import Terminal, printable

if TYPE_CHECKING:
    from ..store.accounts import Grant, Person
    from ..store.sqlite.accounts import Accounts

#: For the end of a command's help.
ROLES_HELP = (
    "Roles: metadata-viewer (figures, not what was said), viewer, reviewer (judges, too), exporter (takes many calls "
    "away, too), admin (all but the audit), auditor (the audit alone). ROLE holds for all projects, ROLE:PROJECT for "
    "one."
)

role_option = click.option(
    "--role", "roles", multiple=True, required=True, metavar="ROLE[:PROJECT]", help="What is allowed; may be repeated."
)


@click.group()
def user() -> None:
    """People who log in to the console with a password; it counts at once, no restart needed.

    On loopback the console asks nobody to log in until there is the first of them.
    """


@user.command(epilog=ROLES_HELP)
@click.argument("name")
@role_option
@with_config()
def add(config: Config, name: str, roles: tuple[str, ...]) -> None:
    """Add somebody; asks for the password (or reads a line from a pipe)."""
    from ..console.access.passwords import checked_name, hashed

    name, grants, accounts = checked_name(name), grants_of(roles), accounts_of(config)
    if accounts.person(name) is not None:
        raise UsageError(f"there is somebody called {name!r} already")
    accounts.add(name, hashed(_password()), grants, wall_us())
    print(f"{name} may log in: {_roles(grants)}")


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each person.")
@with_config()
def list_people(config: Config, as_json: bool) -> None:
    """Everybody, their roles, and when they logged in last."""
    people = accounts_of(config).people()
    if not people and not as_json:
        print(f"nobody yet; {hint('user add NAME --role admin', config.data_dir)}")
    terminal = Terminal()
    for person in people:
        print(_json(person) if as_json else _line(person, terminal))


@user.command()
@click.argument("name")
@with_config()
def passwd(config: Config, name: str) -> None:
    """Set somebody's password; asks for it. Their sessions end."""
    from ..console.access.passwords import hashed

    accounts = accounts_of(config)
    if accounts.person(name) is None:
        raise UsageError(f"there is nobody called {name!r}")
    accounts.set_password(name, hashed(_password()))
    print(f"the password of {printable(name)} is set")


@user.command(epilog=ROLES_HELP)
@click.argument("name")
@role_option
@with_config()
def grant(config: Config, name: str, roles: tuple[str, ...]) -> None:
    """Say what somebody may do, in place of what they might. Their sessions end."""
    grants = grants_of(roles)
    accounts_of(config).set_grants(name, grants)
    print(f"{printable(name)}: {_roles(grants)}")


@user.command()
@click.argument("name")
@with_config()
def remove(config: Config, name: str) -> None:
    """Remove somebody. Their sessions end; what they said of calls stays."""
    accounts_of(config).remove(name)
    print(f"{printable(name)} is removed")


def accounts_of(config: Config) -> Accounts:
    """The accounts of the data directory."""
    from ..store.sqlite.accounts import Accounts

    return Accounts(config.data_dir)


def grants_of(roles: Sequence[str]) -> tuple[Grant, ...]:
    """What was given as ``--role``. Raises ``UsageError``."""
    from ..console.permissions import read_grants

    return read_grants(",".join(roles))


def _password() -> str:
    """From the terminal, twice and unseen; from a pipe, its first line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt="Once more"))


def _roles(grants: Sequence[Grant]) -> str:
    from ..console.permissions import grant_text

    return ", ".join(printable(grant_text(grant)) for grant in grants)


def _line(person: Person, terminal: Terminal) -> str:
    seen = f"last login {figures.date_time(person.login_at_us)}" if person.login_at_us else "never logged in"
    return f"{terminal.paint(person.name, 'bold')}  {_roles(person.grants)}  {terminal.paint(seen, 'dim')}"


def _json(person: Person) -> str:
    import json

    from ..console.permissions import grant_text

    login = rfc3339(person.login_at_us) if person.login_at_us else None
    found = {
        "name": person.name,
        "roles": [grant_text(grant) for grant in person.grants],
        "created_at": rfc3339(person.created_at_us),
        "last_login_at": login,
    }
    return json.dumps(found, separators=(",", ":"))
