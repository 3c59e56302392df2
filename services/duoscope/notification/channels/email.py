"""Mail, through the outbox of `delivery`: a subject and a plain text for each address."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from duoscope.notification.channels import words
from duoscope.notification.channels.requests import Config
from duoscope.notification.messages import Alert, Message

SUBJECT_CHARS_MAX: Final = 200
TEXT_CHARS_MAX: Final = 100_000

MailAddress = Annotated[str, Meta(max_length=320, pattern=r"^[^\s@\x00-\x1f<>,;]+@[^\s@\x00-\x1f<>,;]+$")]


class EmailConfig(Config, frozen=True):
    """The addresses that get the mail."""

    SECRETS: ClassVar = frozenset[str]()
    to: Annotated[tuple[MailAddress, ...], Meta(min_length=1, max_length=20, examples=[["oncall@example.com"]])]

    def target(self) -> str:
        """The addresses."""
        return ", ".join(self.to)


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail, for each address of the channel."""

    subject: str
    text: str


def mail(message: Message) -> Mail:
    """Write the mail."""
    text = words.listed(message, TEXT_CHARS_MAX, _alert)
    if message.external_url:
        text += f"\n\n-- \n{message.external_url}"
    return Mail(words.title(message, SUBJECT_CHARS_MAX), text + "\n")


def _alert(alert: Alert, chars: int) -> str:
    lines = [words.heading(alert)]
    if chars:
        lines.append(words.texts(alert, chars))
        lines += [f"  {name}: {value}" for name, value in words.facts(alert)]
        lines += [f"  {name}: {url}" for name, url in words.links(alert)]
    return "\n".join(line for line in lines if line)
