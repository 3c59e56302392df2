"""The worker part: periodic jobs."""

from typing import ClassVar

from duoscope.alerting.evaluator import Evaluator, start_evaluator
from duoscope.alerting.named import NamedExpressions
from duoscope.delivery.mail import Mailer
from duoscope.identity.authentication.recovery import Recovery
from duoscope.kernel.settings import Settings
from duoscope.net.outbound import Outbound
from duoscope.notification.asking import Asking
from duoscope.notification.sending import Sender
from duoscope.runtime.process import Process
from duoscope.secrets.box import SecretBox
from duoscope.worker.alert_shipping import start_alert_shipping
from duoscope.worker.audit_shipping import start_audit_shipping
from duoscope.worker.housekeeping import start_housekeeping
from duoscope.worker.mail import start_mail
from duoscope.worker.notifications import OWE_NOTIFICATIONS, start_notifications
from duoscope.worker.watchdog import start_watchdog


class WorkerPart:
    """The worker part of a process."""

    http_port: ClassVar[str] = ""

    def __init__(self, settings: Settings) -> None:
        del settings

    async def start(self, process: Process) -> None:
        """Start the jobs."""
        driver, metadata = process.driver, process.metadata
        mailer = Mailer(process.settings, process.keys)
        recovery = Recovery(metadata, process.hasher, mailer, process.keys, public_url=process.started.api_url)
        outbound = Outbound(process.settings.outbound_networks)
        process.stack.push_async_callback(outbound.close)
        box = SecretBox(metadata, process.keys)
        await box.prepare()
        sender = Sender(metadata, box, outbound, mailer, process.started.api_url)
        writers = {"password-forgotten": recovery.write_reset}
        process.telemetry.know(NamedExpressions(metadata).of)
        evaluator = Evaluator(
            metadata,
            process.telemetry,
            happened=lambda: driver.activate(OWE_NOTIFICATIONS.name),
            waiting_since=process.oldest_waiting,
        )
        process.readiness["alerts"] = evaluator.ready
        jobs = (
            *start_housekeeping(driver, metadata),
            start_mail(driver, metadata, mailer, writers),
            start_audit_shipping(driver, metadata, process.telemetry.records()),
            *start_evaluator(driver, evaluator),
            start_alert_shipping(driver, metadata, process.telemetry.records()),
            *start_notifications(driver, metadata, sender, Asking(process.telemetry)),
        )
        if process.settings.watchdog_url:
            watchdog = start_watchdog(driver, evaluator, outbound, process.settings.watchdog_url)
            process.stack.push_async_callback(watchdog.stop)
        for job in jobs:
            process.stack.push_async_callback(job.stop)
