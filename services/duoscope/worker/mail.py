"""Sends the mail of the outbox as it falls due."""

from collections.abc import Mapping
from typing import Final

from duoscope.background.driver import AGAIN, Driver, Job, Next, Running
from duoscope.delivery.mail import BATCH_MAX, Mailer, Writer, deliver_due
from duoscope.stores.postgres import MetadataStore

DELIVER_MAIL: Final = Job("deliver-mail", period_s=2.0, at_once=True, retry_s=5.0, turn_max_s=3600.0, stop_s=3.0)
"""Each turn is one small indexed query. At a stop, a mail in progress gets a few seconds: one that was accepted but not
recorded would be sent twice."""


def start_mail(driver: Driver, metadata: MetadataStore, mailer: Mailer, writers: Mapping[str, Writer]) -> Running:
    """Start the job that delivers due mail."""

    async def run() -> Next | None:
        leased = await deliver_due(metadata, mailer, writers, stopping=running.stopping)
        return AGAIN if leased == BATCH_MAX else None

    running = driver.start(DELIVER_MAIL, run)
    return running
