"""The simulated services: their calls, durations and failures. Knows nothing of telemetry.

`play` runs one request through the fleet and returns what happened as a tree of calls with times in nanoseconds.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

Kind = Literal["server", "client", "producer", "consumer"]
Value = str | int | float | bool

NANOSECONDS_PER_MS: Final = 1_000_000
NETWORK_MS: Final = (0.2, 2.0)
"""Network time of a call between services, each way."""

SERVICES: Final = {
    "frontend": "3.2.0",
    "catalogue": "1.9.4",
    "cart": "2.0.1",
    "checkout": "5.1.0",
    "payment": "4.4.2",
    "inventory": "1.3.7",
    "shipping": "0.8.0",
    "email": "1.0.3",
}
"""Every service of the fleet with its version."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A way in which an operation sometimes fails."""

    probability: float
    exception: str
    message: str
    slowdown: float = 1.0


@dataclass(frozen=True, slots=True)
class Operation:
    """Work of one service.

    Attributes:
        service: the service's name.
        name: the span's name.
        median_ms: its own time, without that of the operations it calls.
        kind: what starts it: a request, a message, or the service itself calling a database.
        attributes: fixed attributes of its span.
        calls: operations it runs, one after the other.
        failure: how it may fail; it then fails its caller too, unless that tolerates it.
        optional: the caller continues without it.
        logs: the log messages of a success, with {order} and the like filled in.
    """

    service: str
    name: str
    median_ms: float
    kind: Kind = "server"
    attributes: dict[str, Value] = field(default_factory=dict[str, Value])
    calls: tuple["Operation", ...] = ()
    failure: Failure | None = None
    optional: bool = False
    logs: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """A release of one service that goes wrong.

    Attributes:
        service: whose.
        version: that is rolled out, beside the one that was there.
        share: of the requests that it gets.
        operation: of the service, which now fails, by its name.
        failure: how.
    """

    service: str
    version: str
    share: float
    operation: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class Call:
    """An operation that has run.

    Attributes:
        operation: what ran.
        start_ns: when it began.
        end_ns: when it was over.
        calls: those that it made.
        failed: its failure, if it failed.
        caused_by_call: whether a call that it made was the cause.
        version: of the service that ran it.
    """

    operation: Operation
    start_ns: int
    end_ns: int
    calls: tuple["Call", ...]
    failed: Failure | None = None
    caused_by_call: bool = False
    version: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One request through the fleet: the user, the operation, and the tree of calls."""

    user_id: int
    order_id: int
    amount: float
    currency: str
    call: Call


def _database(service: str, statement: str, table: str, median_ms: float, failure: Failure | None = None) -> Operation:
    operation = statement.split(maxsplit=1)[0]
    attributes: dict[str, Value] = {
        "db.system.name": "postgresql",
        "db.namespace": service,
        "db.operation.name": operation,
        "db.collection.name": table,
        "db.query.text": statement,
    }
    return Operation(service, f"{operation} {table}", median_ms, "client", attributes, failure=failure)


def _http(service: str, method: str, route: str, median_ms: float, *calls: Operation, logs: str = "") -> Operation:
    attributes: dict[str, Value] = {"http.request.method": method, "http.route": route, "url.scheme": "http"}
    return Operation(service, f"{method} {route}", median_ms, "server", attributes, calls, logs=logs)


_PRODUCTS = Operation(
    "catalogue",
    "catalogue.Catalogue/ListProducts",
    4,
    "server",
    {"rpc.system": "grpc", "rpc.service": "catalogue.Catalogue", "rpc.method": "ListProducts"},
    (_database("catalogue", "SELECT id, name, price FROM products WHERE category = $1 LIMIT 40", "products", 6),),
    logs="listed {count} products of category {category}",
)
_CART = Operation(
    "cart",
    "GET /carts/{user_id}",
    2,
    "server",
    {"http.request.method": "GET", "http.route": "/carts/{user_id}", "url.scheme": "http"},
    (
        Operation(
            "cart",
            "GET",
            0.4,
            "client",
            {"db.system.name": "redis", "db.operation.name": "GET"},
            failure=Failure(0.01, "redis.exceptions.TimeoutError", "Timeout reading from cart-redis:6379", 60),
        ),
    ),
    logs="cart of user {user} has {count} items",
)
_INVENTORY = Operation(
    "inventory",
    "inventory.Inventory/Reserve",
    5,
    "server",
    {"rpc.system": "grpc", "rpc.service": "inventory.Inventory", "rpc.method": "Reserve"},
    (
        _database(
            "inventory",
            "UPDATE stock SET reserved = reserved + $1 WHERE sku = $2",
            "stock",
            9,
            Failure(0.015, "psycopg.errors.DeadlockDetected", "deadlock detected while locking stock", 8),
        ),
    ),
    logs="reserved {count} items for order {order}",
)
_PAYMENT = Operation(
    "payment",
    "POST /charges",
    7,
    "server",
    {"http.request.method": "POST", "http.route": "/charges", "url.scheme": "http"},
    (
        Operation(
            "payment",
            "POST",
            110,
            "client",
            {
                "http.request.method": "POST",
                "server.address": "api.cards.example",
                "url.full": "https://api.cards.example/v1/charges",
            },
            failure=Failure(0.04, "CardDeclinedError", "card declined: insufficient funds"),
        ),
        _database("payment", "INSERT INTO charges (order_id, amount, currency) VALUES ($1, $2, $3)", "charges", 4),
    ),
    logs="charged {amount} {currency} for order {order}",
)
_SHIPPING = Operation(
    "shipping",
    "POST /quotes",
    18,
    "server",
    {"http.request.method": "POST", "http.route": "/quotes", "url.scheme": "http"},
    failure=Failure(0.03, "QuoteTimeoutError", "carrier did not answer within 400 ms", 22),
    optional=True,
    logs="quoted shipping of order {order}",
)
_EMAIL = Operation(
    "email",
    "process orders",
    30,
    "consumer",
    {
        "messaging.system": "kafka",
        "messaging.destination.name": "orders",
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": "email",
    },
    optional=True,
    logs="sent confirmation of order {order} to user {user}",
)
_PUBLISH = Operation(
    "checkout",
    "publish orders",
    1.5,
    "producer",
    {"messaging.system": "kafka", "messaging.destination.name": "orders", "messaging.operation.type": "send"},
    (_EMAIL,),
)
_CHECKOUT = _http(
    *("checkout", "POST", "/orders", 9),
    _CART,
    _INVENTORY,
    _SHIPPING,
    _PAYMENT,
    _PUBLISH,
    logs="order {order} of user {user} placed for {amount} {currency}",
)

ENTRANCES: Final = (
    (50, _http("frontend", "GET", "/products", 6, _PRODUCTS, logs="GET /products answered in {ms} ms")),
    (25, _http("frontend", "GET", "/cart", 4, _CART, _PRODUCTS, logs="GET /cart answered in {ms} ms")),
    (25, _http("frontend", "POST", "/checkout", 8, _CHECKOUT, logs="POST /checkout answered in {ms} ms")),
)
"""The operations that users request, with their weights."""


SCENARIOS: Final = {
    "checkout-outage": Incident(
        "inventory",
        "1.4.0",
        0.6,
        "UPDATE stock",
        Failure(0.9, "psycopg.errors.LockNotAvailable", "canceling statement due to lock timeout on stock", 40),
    )
}
"""What may go wrong, by name."""


def play(
    rng: random.Random, end_ns: int, incident: Incident | None = None, versions: Mapping[str, str] | None = None
) -> Request:
    """Run one random request through the fleet, timed so that its answer falls on `end_ns`. `versions` are those of
    services that have another one than in SERVICES.
    """
    entrance = rng.choices([operation for _, operation in ENTRANCES], [weight for weight, _ in ENTRANCES])[0]
    call = _run(entrance, rng, 0, incident, SERVICES | dict(versions or {}))
    return Request(
        user_id=rng.randrange(1000, 9999),
        order_id=rng.randrange(100_000, 999_999),
        amount=round(rng.lognormvariate(3.6, 0.7), 2),
        currency=rng.choice(("EUR", "EUR", "USD", "GBP")),
        call=_shifted(call, end_ns - call.end_ns),
    )


def _run(  # noqa: PLR0917 - what runs, and in which world
    operation: Operation,
    rng: random.Random,
    start_ns: int,
    incident: Incident | None,
    versions: Mapping[str, str],
    caller: Call | None = None,
) -> Call:
    version = versions[operation.service]
    if caller and caller.operation.service == operation.service:
        version = caller.version
    elif incident and operation.service == incident.service and rng.random() < incident.share:
        version = incident.version
    own_ns = round(operation.median_ms * rng.lognormvariate(0, 0.45) * NANOSECONDS_PER_MS)
    failure = operation.failure
    if incident and (version, operation.name) == (incident.version, incident.operation):
        failure = incident.failure
    failed = failure if failure and rng.random() < failure.probability else None
    if failed:
        own_ns = round(own_ns * failed.slowdown)
    clock = start_ns + own_ns // 2
    calls: list[Call] = []
    caused_by_call = False
    this = Call(operation, start_ns, start_ns, (), version=version)
    for wanted in operation.calls:
        travel_ns = 0 if wanted.service == operation.service else round(rng.uniform(*NETWORK_MS) * NANOSECONDS_PER_MS)
        call = _run(wanted, rng, clock + travel_ns, incident, versions, this)
        calls.append(call)
        if wanted.kind != "consumer":  # a message is handled after its sender has gone on
            clock = call.end_ns + travel_ns
        if call.failed and not wanted.optional:
            failed, caused_by_call = call.failed, True
            break
    end_ns = clock + own_ns - own_ns // 2
    return replace(this, end_ns=end_ns, calls=tuple(calls), failed=failed, caused_by_call=caused_by_call)


def _shifted(call: Call, by_ns: int) -> Call:
    calls = tuple(_shifted(inner, by_ns) for inner in call.calls)
    return replace(call, start_ns=call.start_ns + by_ns, end_ns=call.end_ns + by_ns, calls=calls)
