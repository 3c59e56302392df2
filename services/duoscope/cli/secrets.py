"""`duoscope admin`: rotates the keys that secrets are encrypted with, and removes second factors that users lost."""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

from typing import TYPE_CHECKING

import rich_click as click

from duoscope.cli import output
from duoscope.cli.admin import open_store
from duoscope.cli.options import json_option, settings_options
from duoscope.kernel.errors import invalid
from duoscope.kernel.settings import Settings

if TYPE_CHECKING:
    from duoscope.secrets.box import SecretKeyRotation


@click.command("rotate-encryption-key")
@click.option(
    "--resume", is_flag=True, help="Make no new key: finish an interrupted run, or apply a new instance secret."
)
@click.option(
    "--abandon",
    is_flag=True,
    help="For a lost instance secret, with duoscope stopped: give up the second factors and client secrets that "
    "nobody can read any more, so that it starts again.",
)
@settings_options("data_dir")
@json_option
def rotate_encryption_key(settings: Settings, *, resume: bool, abandon: bool, as_json: bool) -> None:
    """Make a new data key and encrypt every stored secret with it, while the services run.

    If it is interrupted, --resume finishes it. After you put a new secret in front of the old one in
    DUOSCOPE_SECRET_KEY (or secret.key), --resume encrypts the data keys with the new one; then you can remove the old
    one.
    """
    from duoscope.runtime import serve

    if resume and abandon:
        raise invalid("Give --resume or --abandon, not both.")
    if abandon:
        lost = serve.run(_abandon(settings))
        if as_json:
            output.emit_json({"abandoned": lost})
        elif lost:
            click.echo(
                "Gave up what the lost secret protected. Users enrol second factors anew; identity providers are"
            )
            click.echo(
                "out of service until they get their client secrets again (PATCH /api/v1/identity-providers/...)."
            )
        else:
            click.echo("Nothing is lost: the instance's secret opens every data key.")
        return
    done = serve.run(_rotate_encryption_key(settings, resume=resume))
    if as_json:
        output.emit_json(done)
        return
    click.echo(f"Stored secrets are encrypted with data key {done.version}; {done.resealed} were encrypted anew.")
    if done.forgotten:
        click.echo(f"Removed for good: {done.forgotten} data keys that were replaced over a day ago.")


@click.command("rotate-signing-key")
@click.option(
    "--revoke",
    is_flag=True,
    help="All other keys stop working now, for a key that may have leaked: clients have to refresh their tokens.",
)
@settings_options("data_dir")
@json_option
def rotate_signing_key(settings: Settings, *, revoke: bool, as_json: bool) -> None:
    """Make a new signing key for access tokens. Running services use it within seconds."""
    from duoscope.runtime import serve

    kid = serve.run(_rotate_signing_key(settings, revoke=revoke))
    if as_json:
        output.emit_json({"kid": kid, "others_revoked": revoke})
        return
    rest = "the others stopped working" if revoke else "the one before it verifies until its last token has expired"
    click.echo(f"Access tokens are signed with key {kid} from now on; {rest}.")


@click.command("reset-mfa")
@click.argument("email")
@settings_options("data_dir")
def reset_mfa(settings: Settings, email: str) -> None:
    """Remove a user's lost second factor, and end their sessions."""
    from duoscope.runtime import serve

    serve.run(_reset_mfa(settings, email))
    click.echo(f"{email} has no second factor any more; their sessions have ended.")


async def _rotate_encryption_key(settings: Settings, *, resume: bool) -> "SecretKeyRotation":
    from duoscope.kernel.actor import operator
    from duoscope.secrets.box import SecretBox
    from duoscope.secrets.keys import SecretKeys

    async with open_store(settings) as store:
        box = SecretBox(store, SecretKeys.load(settings))
        return await (box.resume() if resume else box.rotate(operator()))


async def _abandon(settings: Settings) -> list[int]:
    from duoscope.kernel.actor import operator
    from duoscope.secrets.box import SecretBox
    from duoscope.secrets.keys import SecretKeys

    async with open_store(settings) as store:
        return await SecretBox(store, SecretKeys.load(settings)).abandon(operator())


async def _rotate_signing_key(settings: Settings, *, revoke: bool) -> str:
    from duoscope.identity.authentication.signing_keys import SigningKeys
    from duoscope.kernel.actor import operator
    from duoscope.secrets.box import SecretBox
    from duoscope.secrets.keys import SecretKeys

    async with open_store(settings) as store:
        box = SecretBox(store, SecretKeys.load(settings))
        await box.prepare()
        return await SigningKeys(store, box).rotate(operator(), revoke=revoke)


async def _reset_mfa(settings: Settings, email: str) -> None:
    from duoscope.delivery.mail import Mailer
    from duoscope.identity.authentication import mfa
    from duoscope.kernel.actor import operator
    from duoscope.secrets.keys import SecretKeys

    async with open_store(settings) as store:
        await mfa.reset_by_operator(store, Mailer(settings, SecretKeys.load(settings)), operator(), email)


COMMANDS = (rotate_encryption_key, rotate_signing_key, reset_mfa)
