"""`duoscope login` and `logout`."""

import json

import rich_click as click

from duoscope.cli import credentials
from duoscope.cli.options import settings_options
from duoscope.cli.reading import text
from duoscope.cli.reading.connection import (
    LOCAL,
    Connection,
    Login,
    address,
    login_file,
    save,
    saved_login,
    send,
    with_tokens,
)
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.settings import Settings


@click.command()
@click.option("--url", metavar="URL", help=f"The API's address. [default: from credentials.json, or {LOCAL}]")
@click.option("--email", metavar="ADDRESS", help="Log in as this user. [default: asked for]")
@click.option(
    "--with-api-key", is_flag=True, help="Ask for an API key that reads, instead of an address and a password."
)
@settings_options("data_dir")
def login(settings: Settings, url: str | None, email: str | None, *, with_api_key: bool) -> None:
    """Log in, for logs, tail, traces, trace, metrics and services.

    The password, the code of a second factor and the key are asked for, and never taken from the command line, where
    other users of this machine could see them. What is kept is in your own folder for configuration, readable by you
    alone: the key, or the tokens of a session, which ends after a week without use. On the machine of a first start
    none of this is needed: its credentials.json has a key that reads.
    """
    known = credentials.read(settings.data_dir) if url is None or email is None else {}
    where = address(url or known.get("api_url", LOCAL))
    if with_api_key:
        made = Login(where, api_key=click.prompt("API key", hide_input=True).strip())
        _try(Connection(made))
    else:
        email = email or click.prompt("E-mail address", default=known.get("admin_email"))
        made = Login(where, email=email)
        made = with_tokens(made, _tokens(made))
    path = save(made)
    click.echo(f"Logged in at {where}{f' as {email}' if made.email else ' with an API key'}; kept in {path}.")


def _try(api: Connection) -> None:
    """Ask something that every key that reads may hear, or is forbidden to hear."""
    try:
        api.get("services", {"start": text.seconds_ago(60)})
    except DuoscopeError as error:
        if error.kind is not ErrorKind.FORBIDDEN:
            raise


def _tokens(asked: Login) -> dict[str, object]:
    body: dict[str, object] = {"email": asked.email, "password": click.prompt("Password", hide_input=True)}
    while True:
        try:
            with send(asked.url, "auth/login", body=body) as answer:
                return json.load(answer)
        except DuoscopeError as error:
            if error.code != "mfa-required" or "mfa_code" in body:
                raise
        body["mfa_code"] = click.prompt("Code of the second factor").strip()


@click.command()
def logout() -> None:
    """Forget the login, and end its session."""
    kept = saved_login()
    if kept is None:
        click.echo("Nobody is logged in.")
        return
    note = ""
    try:
        Connection(kept).end()
    except DuoscopeError as error:
        note = f" Its session could not be ended, and ends by itself: {error.message}"
    login_file().unlink(missing_ok=True)
    click.echo(f"Logged out of {kept.url}.{note}")
