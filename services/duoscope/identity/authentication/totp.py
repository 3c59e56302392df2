"""Time-based one-time passwords (RFC 6238), backup codes, and the QR code from which a phone reads a secret."""

import io
import re
import secrets
from dataclasses import dataclass
from typing import Final

import segno
from pyotp import random_base32
from pyotp.totp import TOTP

ISSUER: Final = "duoscope"
STEP_S: Final = 30
OFFSET_STEPS_MAX: Final = 4
"""How far an authenticator's clock may be off in either direction: two minutes."""
RESYNC_STEPS_MAX: Final = 2
"""How soon the second of the two codes that set a clock's offset must follow the first."""
BACKUP_CODES: Final = 10
_BACKUP_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_BACKUP_LETTERS_EACH: Final = 11
_TOTP_FORM: Final = re.compile(r"[0-9]{6}")
_BACKUP: Final = re.compile(r"[0-9][a-z2-7]{11}")
_SEPARATORS: Final = str.maketrans("", "", " -")


def new_secret() -> str:
    """Make a secret of 160 random bits, in base32."""
    return random_base32(32)


def uri(secret: str, email: str) -> str:
    """The `otpauth://` URI that authenticator apps read."""
    return TOTP(secret, interval=STEP_S).provisioning_uri(name=email, issuer_name=ISSUER)


def qr_svg(text: str) -> str:
    """The text as a QR code: an SVG image, to be put into a page as it is."""
    image = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        image, kind="svg", scale=4, xmldecl=False, dark="#000", light="#fff", title="QR code for an authenticator app"
    )
    return image.getvalue().decode()


def plain(code: str) -> str:
    """A typed code without separators."""
    return code.translate(_SEPARATORS).lower()


def is_totp(code: str) -> bool:
    """Whether a plain code has the form of an authenticator app's."""
    return _TOTP_FORM.fullmatch(code) is not None


@dataclass(frozen=True, slots=True)
class Match:
    """The time step of a code, and by how many steps it is ahead of the current one."""

    step: int
    offset_steps: int


def match(secret: str, code: str, *, after: int, offset_steps: int, now_s: float) -> Match | None:
    """The time step of a plain code, if it is later than the step `after`; a code of `offset_steps` is preferred."""
    totp = TOTP(secret, interval=STEP_S)
    present = int(now_s) // STEP_S
    near = sorted(range(-OFFSET_STEPS_MAX, OFFSET_STEPS_MAX + 1), key=lambda each: abs(each - offset_steps))
    matching = [
        Match(present + each, each)
        for each in near
        if present + each > after and secrets.compare_digest(totp.generate_otp(present + each), code)
    ]
    return next(iter(matching), None)


def new_backup_codes() -> list[str]:
    """Make ten codes such as `3abc-defg-hijk`: the digit is the number of the code, the letters are 55 random bits."""
    return [
        str(place) + "".join(secrets.choice(_BACKUP_LETTERS) for _ in range(_BACKUP_LETTERS_EACH))
        for place in range(BACKUP_CODES)
    ]


def shown(backup_code: str) -> str:
    """A backup code in groups, for reading."""
    return "-".join(backup_code[start : start + 4] for start in range(0, len(backup_code), 4))


def backup_place(code: str) -> str | None:
    """The number that a plain backup code begins with. None for a code of another form."""
    return code[0] if _BACKUP.fullmatch(code) else None
