"""The log payload with one thing changed, so that what each part of it costs on disk can be told apart."""

import random
import re
import time
from collections.abc import Iterator
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from benchmarks.payloads import SERVICES, logs_request

TEMPLATES: Final = """
Accepted order {id} of customer {user} and handed it to the fulfilment queue after {ms} ms
Added item {id} to the cart of {user}, which now holds {n} items of one shop
Applied promotion {name} to order {id}, the total of the order went down by {n} percent
Authentication of {user} failed: the password did not match, {n} more attempts before the account is locked
Background job {name} finished in {ms} ms, it has looked at {n} rows and changed none
Batch {id} was written to the data warehouse in {ms} ms, the next one starts on schedule
Cache entry for product {id} has expired, fetching it anew from the catalogue took {ms} ms
Cache hit ratio of region {name} over the last minute was {n} percent, which is as usual
Cannot reach upstream {service}: connection refused, trying again in {ms} ms until the deadline of the request
Circuit breaker for {service} is open after {n} failures in a row, calls are refused until it recovers
Closed idle connection {id} to the database after {ms} ms without use, the pool is above its minimum
Compacted segment {id} of the message log in {ms} ms, old versions of keys have been dropped
Configuration {name} was loaded again in {ms} ms, nothing in it differs from what was there before
Consumed message {id} from topic {name} with a delay of {ms} ms behind the head of the partition
Created session {id} for {user}, it ends after thirty minutes without any request from the browser
Currency rates of provider {name} are {n} minutes old, orders use them until they are an hour old
Deadline exceeded while waiting for {service} to answer request {id}, the caller was told after {ms} ms
Declined payment {id} of {user}: the bank answered that the limit of the card has been reached
Delivered webhook {id} to the subscriber at attempt {n}, the endpoint answered with status 200 in {ms} ms
Discarded {n} events of source {name} because they arrived later than the window of the aggregation allows
Email {id} to {user} was accepted by the mail server in {ms} ms and is on its way
Exported invoice {id} for {user} as a document of {n} pages and stored it for ten years
Failed to parse the request body of request {id}: field number {n} is not of the type expected
Feature flag {name} is on for {user} because of rule number {n} of the rollout plan in force
Finished health check of {service} in {ms} ms, all of its dependencies answered and are well within limits
Found {n} duplicates of event {id} within the window and kept the one that had arrived first
Garbage collection of the old generation took {ms} ms and freed {n} percent of the memory in use
Handled request {id} of {user} in {ms} ms, the response was written to the client without compression
Heartbeat of worker {name} is {ms} ms late, its tasks will be given to others after a minute
Image {id} was resized to {n} variants in {ms} ms and uploaded to the bucket of the shop
Index {name} was refreshed in {ms} ms, documents of the last minute can be found by searches now
Inventory of product {id} fell below its threshold of {n} pieces, a new delivery has been asked for
Job {name} was skipped at this tick because run {id} of it has not ended on another node
Leader election for shard {n} was won by {name}, followers will have caught up in a few seconds
Loyalty points of {user} were raised by {n} for order {id}, the level of the membership stays unchanged
Marked review {id} of {user} as suspicious, a moderator will look at it before it can be seen
Moved {n} expired entries of queue {name} to the dead letter queue, an operator may replay them later
No stock of product {id} is left in warehouse {name}, the order waits for the next delivery there
Opened connection {id} to the replica in {ms} ms, the pool has {n} connections to this database now
Order {id} cannot be shipped yet because the address of {user} is waiting for a check by hand
Password of {user} was changed, {n} other sessions of the account were ended and a mail was sent
Payment {id} was captured by the provider {name} in {ms} ms and booked to the account of the shop
Price of product {id} was changed by rule {name}, carts that hold it are told at their next view
Published event {id} to topic {name} in {ms} ms, all in-sync replicas have acknowledged the write of it
Query for recommendations of {user} took {ms} ms, which is slower than the objective of this endpoint allows
Queue {name} holds {n} messages more than its consumers can handle within the minute, scaling out is due
Rate limit of {user} has been reached after {n} requests in this minute, the request was refused
Received a callback of carrier {name} for parcel {id}, its state is now out for delivery to the customer
Refund {id} for {user} was started by the support team and will be paid out within three days
Released the reservation of {n} pieces for order {id} because the payment was not made in time
Rendered page {name} for {user} in {ms} ms, of which the templates took less than one half
Request {id} to {service} timed out after {ms} ms, it is safe to repeat and will be repeated
Retrying call {id} to {service} for the {n} time, the wait before the next one is doubled again
Rolled back transaction {id} after {ms} ms because of a conflict with a concurrent update of the same row
Scheduled {n} tasks of workflow {id} on the workers of the default pool, the rest waits for them
Score of the fraud check for order {id} of {user} is {n}, which is below the threshold for a review
Search for {name} by {user} gave {n} results, the first page of them was served from the index
Shipment {id} was handed over to the carrier {name}, its tracking number was sent to the customer by mail
Token {id} of {user} was refreshed, the new one is valid for fifteen minutes from this moment on
Uploaded the archive {name} of {n} files to the object store in {ms} ms, its checksum has been verified
""".strip().splitlines()
NAMES: Final = [f"{first}-{second}" for first in SERVICES[:10] for second in ("blue", "eu", "hourly", "main", "v2")]


def templates(request: ExportLogsServiceRequest, rng: random.Random) -> None:
    """Bodies from sixty messages of about 15 words with two or three variables, in place of words drawn at random."""

    def value(match: re.Match[str]) -> str:
        match match[1]:
            case "id":
                return str(rng.randrange(1_000_000))
            case "ms":
                return str(rng.randrange(5000))
            case "n":
                return str(rng.randrange(1, 100))
            case "user":
                return f"user-{rng.randrange(10_000)}"
            case "service":
                return rng.choice(SERVICES)
            case _:
                return rng.choice(NAMES)

    for resource in request.resource_logs:
        for record in resource.scope_logs[0].log_records:
            record.body.string_value = re.sub(r"\{(\w+)\}", value, rng.choice(TEMPLATES))


def no_trace_ids(request: ExportLogsServiceRequest, _: random.Random) -> None:
    """No record belongs to a trace."""
    for resource in request.resource_logs:
        for record in resource.scope_logs[0].log_records:
            record.ClearField("trace_id")
            record.ClearField("span_id")
            record.ClearField("flags")


def as_it_is(_: ExportLogsServiceRequest, __: random.Random) -> None:
    """What `make bench` sends."""


VARIANTS: Final = {"as it is": as_it_is, "templates": templates, "no trace ids": no_trace_ids}


def serialized_logs(variant: str, *, requests: int, items: int, spacing_ns: int = 250_000_000) -> Iterator[bytes]:
    """As `payloads.serialized("logs", …)`, with the change named `variant`."""
    start_ns = time.time_ns() - requests * spacing_ns
    for number in range(requests):
        request = logs_request(items, seed=number, now_ns=start_ns + number * spacing_ns)
        VARIANTS[variant](request, random.Random(number))
        yield request.SerializeToString()
