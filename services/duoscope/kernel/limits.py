"""Every named limit of queues, batches, requests and retries, with its unit last in the name."""

from typing import Final

RETENTION_CLASSES_DAYS: Final = (3, 7, 14, 30, 90, 400)
"""The retention periods a tenant may choose from; partitions are (day, class), so few classes keep parts few."""

RETENTION_DEFAULT_DAYS: Final = 30

INGEST_REQUEST_BYTES_MAX: Final = 64 * 1024 * 1024
"""One OTLP request after decompression (OTLP 1.11 recommends 64 MiB)."""

INGEST_UNPACK_THREADS_MAX: Final = 2
"""Threads that decompress bodies and convert JSON to protobuf."""

INGEST_ZSTD_WINDOW_LOG_MAX: Final = 25
"""2**25 is 32 MiB, the window of the collector's best zstd level; a decoder holds one window."""

HTTP_BODY_PAUSE_MAX_S: Final = 15.0
HTTP_BODY_MAX_S: Final = 60.0
"""How long a sender may pause in the middle of a request, and how long the whole request may take."""

HTTP_HEADERS_MAX_S: Final = 10.0
"""How long a connection may take for its TLS handshake, and then for the headers of a request."""

HTTP_IDLE_MAX_S: Final = 75.0
"""How long an HTTP connection is kept open between two requests."""

HTTP_DISCARD_MAX_S: Final = 10.0
"""How long the rest of a refused body is read and discarded, so that its sender receives the answer."""

HTTP_HEADERS_BYTES_MAX: Final = 16 * 1024
"""Request line and headers, or gRPC metadata, of one request."""

HTTP_UNREAD_MAX_S: Final = 15.0
HTTP_UNREAD_BYTES_MIN: Final = 64 * 1024
"""A client that reads less than this of an answer within this time is disconnected, unless it has read all that was
written."""

INGEST_CONNECTIONS_MAX: Final = 2048
INGEST_CONNECTIONS_ADDRESS_MAX: Final = 1024
"""Connections to each OTLP port, in all and (HTTP) from one address."""

API_CONNECTIONS_MAX: Final = 2048
API_CONNECTIONS_ADDRESS_MAX: Final = 512
"""Connections to the API's port, in all and from one address."""

API_REQUEST_BYTES_MAX: Final = 1024 * 1024
"""The body of one request to the API."""

OPEN_FILES_WANTED: Final = 16_384
OPEN_FILES_KEPT: Final = 4096
"""File descriptors that a process requests from the system, and how many of them are reserved for the embedded stores
and the request log. If the system grants fewer, half are reserved, and the ports share the rest."""

INGEST_GRPC_STREAMS_MAX: Final = 100
"""Requests at once on one gRPC connection; a client queues the others itself (RFC 9113 recommends 100 or more)."""

INGEST_GRPC_WINDOW_BYTES: Final = 64 * 1024
"""The memory that a gRPC request is counted with while its message arrives and its size is not known: its flow-control
window."""

INGEST_ATTRIBUTES_MAX: Final = 1000
"""Attributes of one resource, scope or item; events or links of one span; exemplars of one point."""

INGEST_ATTRIBUTE_BYTES_MAX: Final = 256 * 1024
INGEST_BODY_BYTES_MAX: Final = 1024 * 1024
"""One attribute's value and one log body, as stored."""

INGEST_NESTING_MAX: Final = 32
"""Levels of arrays and lists within one value."""

INGEST_BUCKETS_MAX: Final = 10_000
"""Buckets, bounds or quantiles of one point; LIST_MAX in decoder/rows/distributions.c."""

INGEST_ITEMS_MAX: Final = 1_000_000
"""Resources, scopes, metrics and items of one request: two bytes each would be enough to fill the memory with rows."""

INGEST_AHEAD_MAX_S: Final = 86_400
"""How far in the future an item's time may be: more is a broken clock."""

INGEST_SAME_REQUEST_S: Final = 900
"""How long the same bytes from the same tenant are taken for a retry."""

INGEST_RECENT_REQUESTS_MAX: Final = 4_000
"""Requests without exact times that may be repeated because their senders got no answer."""

INGEST_KNOWN_REQUESTS_MAX: Final = 500_000
"""Requests that a receiver remembers itself; if there are more, it asks ClickHouse."""

INGEST_DECODE_THREADS_MAX: Final = 3
"""Threads that decode requests and write them to disk: one group is decoded while the one before is synced."""

INGEST_CATALOGUE_PERIOD_S: Final = 30.0
INGEST_NAMES_PERIOD_S: Final = 600.0
"""How often a receiver records in the catalogue that a metric was seen, and that a name exists, of which it has a row a
day: again only lest rows were lost unnoticed."""

INGEST_VALUES_PERIOD_S: Final = 30.0
"""How often a receiver stores how many items had which values: an INSERT more for each of traces and logs."""

INGEST_SPOOL_BYTES_MAX: Final = 20 * 1024 * 1024 * 1024
"""Disk space for what is acknowledged while ClickHouse is away; beyond it clients are told to retry."""

INGEST_DISK_FREE_BYTES_MIN: Final = 1024 * 1024 * 1024
"""Below this much free disk, or a twentieth of a smaller disk, clients are told to retry: whatever else is on the disk
needs room too."""

STORE_DISK_FREE_BYTES_MIN: Final = 256 * 1024 * 1024
"""With less on its disk ClickHouse refuses an INSERT, which then waits in the spool: room for what is under way."""

INGEST_SPOOL_LOOK_S: Final = 10.0
INGEST_SPOOL_TRIES_MAX: Final = 30
"""How often the spool looks for files that an operator put back; and how often one batch may fail, while others
succeed, before it is set aside: minutes, in which a store that is overloaded now may recover."""

INGEST_COMMIT_MAX_S: Final = 20.0
INGEST_LEDGER_MAX_S: Final = 5.0
"""How long ClickHouse may take to commit a batch before it goes to disk, and to say which requests it has."""

INGEST_STORE_SILENCE_MAX_S: Final = 60
"""How long a ClickHouse server may be silent on a connection. Well below the 300 s after which a collector gives up."""

INGEST_CLAIM_S: Final = 120.0
"""How long a receiver has to store what it leased, or to come back if it died: longer than an INSERT and a restart may
take, and well below the 300 s after which a collector gives up."""

INGEST_CLAIM_WAIT_S: Final = 2.0
INGEST_CLAIM_PAUSE_S: Final = 5.0
"""How long PostgreSQL may take to record leases, and how long it is not asked again after it failed to."""

INGEST_BATCH_ROWS_MAX: Final = 500_000
"""Rows after which a batch accepts no further request: the rows of many small items take many times their request
bytes."""

INGEST_SPOOL_RETRY_AFTER_S: Final = 30.0
INGEST_SPOOL_PAUSE_MIN_S: Final = 0.5
INGEST_SPOOL_PAUSE_MAX_S: Final = 10.0
"""How long the spool waits before it tries an unavailable store again."""

INGEST_INSERT_MEMORY_BYTES_MAX: Final = 4 * 1024 * 1024 * 1024
"""Memory that one INSERT may use in ClickHouse."""

INGEST_PARTITIONS_MAX: Final = 1000
"""Of one INSERT: a day and a retention each. All days of all retentions are fewer."""

INGEST_SPLITS_MAX: Final = 200
"""Attempts to find the refused items of one request; items not isolated by then are refused with them."""

EMBEDDED_POSTGRES_CHECK_S: Final = 1.0
"""How often the embedded PostgreSQL is checked; one that died is started again."""

INGEST_BATCH_BYTES_MAX: Final = 16 * 1024 * 1024
"""Request bytes that one batch holds at most, unless a single request is larger."""

INGEST_BATCH_WAIT_MAX_S: Final = 0.2
"""How long requests wait for others where they are answered when they are stored."""

INGEST_SEGMENT_AGE_MIN_S: Final = 0.2
INGEST_SEGMENT_AGE_MAX_S: Final = 2.0
INGEST_SEGMENT_AGE_AWAY_S: Final = 10.0
INGEST_COMMIT_SHARE: Final = 0.005
"""The age at which a segment of the log is inserted: such that INSERTs take this share of the time, within bounds; and
at which it is sealed while ClickHouse is away."""

INGEST_SEGMENT_AGE_UNREAD_MAX_S: Final = 20.0
INGEST_SEGMENT_ROWS_UNREAD_MAX: Final = 10_000
"""The age and the rows up to which a segment may wait where whoever reads has it inserted first: few rows, so that the
read waits for a small INSERT."""

READ_SETTLED_MAX_S: Final = 5.0
"""How long a read waits for what its tenant has sent to the same process; later, it reads what there is."""

INGEST_SEGMENTS_STORED_AT_ONCE_MAX: Final = 2
"""Segments that are inserted at the same time."""

INGEST_ROWS_HELD_BYTES_MAX: Final = 64 * 1024 * 1024
"""Rows of sealed segments in memory, above which further requests wait until some are stored."""

INGEST_SYNC_MAX_S: Final = 4.0
INGEST_APPEND_BYTES_PER_S_MIN: Final = 8 * 1024 * 1024
"""How long the disk may take to sync before the waiting requests are refused for now, and how slowly it may write."""

INGEST_INSERT_RETRY_PAUSES_S: Final = (0.2, 1.0)
"""How long an INSERT waits before each new try while ClickHouse is down; then the batch goes to the spool."""

INGEST_DRAIN_MAX_S: Final = 8.0
"""How long a stop waits for requests that were accepted."""

INGEST_QUEUE_BYTES_MAX: Final = 128 * 1024 * 1024
"""Request bytes held in memory over all tenants; above it clients are told to retry."""

INGEST_RETRY_AFTER_S: Final = 2.0
"""The time to retry after that a client gets when the receiver is full or the store is down."""

AUTHENTICATED_AGE_MAX_S: Final = 300
"""How recent a login must be to end other sessions, forget devices or change the address."""

READ_RETRY_AFTER_S: Final = 2.0
"""The time to retry after that a reader gets when the API has no room for it."""

READS_MAX: Final = 6
READS_KEPT: Final = 2
READS_TENANT_MAX: Final = 2
"""Queries of telemetry at work in one process; how many of them are reserved for tenants that have none; how many one
tenant may have, unless it has a limit of its own (kernel/query_limits.py)."""

READS_WAITING_TENANT_MAX: Final = 32
READ_WAIT_MAX_S: Final = 10.0
"""How many requests of one tenant may wait for a slot, as many as a large dashboard has panels; and for how long."""

READ_GIVES_WAY_MAX_S: Final = 1.0
"""How long a query of a tenant that had much lately does not begin, while one of who had little is at work."""

READ_KEPT_BYTES_MAX: Final = 64 * 1024 * 1024
"""What one process keeps of what was computed for questions, over all tenants."""

READ_STOP_S: Final = 2.0
"""How long a stop lets queries finish before it cancels them."""

READ_KILL_AGAIN_S: Final = 0.05
"""When a query that should end is looked for again: it may not have begun."""

QUERIES_SHOWN_DEFAULT: Final = 20
QUERIES_SHOWN_MAX: Final = 100
QUERIES_KEPT_S: Final = 86_400
QUERIES_KEPT_MAX: Final = 20_000
QUERY_SHOWN_CHARS_MAX: Final = 2000
"""The slowest queries of a tenant: how many a list shows, how long and how many over all tenants a process remembers,
and how much of a question it keeps."""

READ_THREADS_MAX: Final = 2
"""Threads of one query if the tenant has no other at work."""

READ_PATTERNS_MAX: Final = 20
"""Terms with a * or a regular expression in one search text: each is compared with every row."""

READ_REGEX_CHARS_MAX: Final = 512
"""One regular expression of a search text."""

ANSWER_PAGE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Stored size of the items of one page; a page that would exceed it is shorter."""

ANSWER_ITEM_BYTES_MAX: Final = 16 * 1024 * 1024
"""What one span may take on a page of its own, as JSON; of a larger one the beginning is shown."""

ANSWER_TEXT_BYTES_MAX: Final = 64 * 1024
"""How much of a body, or of the attributes, of one item a list shows; a request by id returns all."""

ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
"""Size of one answer of the API, as JSON."""

ANSWER_CHUNK_BYTES: Final = 64 * 1024
"""An answer is passed to its connection in parts of this size."""

ANSWERS_TENANT_BYTES_MAX: Final = 64 * 1024 * 1024
ANSWERS_BYTES_MAX: Final = 256 * 1024 * 1024
"""Memory that answers to one tenant, and to all, may hold from their making until they are read."""

LOG_STREAMS_MAX: Final = 50
LOG_STREAMS_TENANT_MAX: Final = 10
LOG_STREAMS_KEPT: Final = 10
"""Log streams of one process, each with one query per second; of one tenant; and how many are reserved for tenants that
have none."""

LOG_STREAM_MAX_S: Final = 900.0
LOG_STREAM_CHECK_S: Final = 0.5
LOG_STREAMS_RETRY_AFTER_S: Final = 10.0
"""How long a log stream lasts at most, how often its reader's permission is checked, and the time to retry after when
there is no room for another."""

SEARCH_LIMIT_DEFAULT: Final = 100
SEARCH_LIMIT_MAX: Final = 1000
"""Rows of one page of a telemetry search."""

EMAIL_DOMAINS_OF_ORGANIZATION_MAX: Final = 200
"""E-mail domains that an organization may claim, proven or not."""

DNS_QUERIES_MAX: Final = 16
"""Organizations that may wait for a DNS answer at one time in one process, with one query each."""

LIST_LIMIT_DEFAULT: Final = 50
LIST_LIMIT_MAX: Final = 200
"""Rows of one page of a metadata list."""

FIELD_VALUES_MAX: Final = 1000
"""Values of one field that an answer lists."""

QUERY_TEXT_CHARS_MAX: Final = 8192
"""Length of a search text."""

QUERY_CONDITION_CHARS_MAX: Final = 120_000
"""Length of its conditions in SQL, which a statement may have twice: ClickHouse takes 262,144 bytes."""

PROMQL_NESTING_MAX: Final = 100
PROMQL_CHAINED_MAX: Final = 500
"""Nested brackets, and operators, of one PromQL expression: its parser is recursive, and above about 4,000 of either
the process would crash."""

PROMQL_POINTS_MAX: Final = 10_000_000
PROMQL_CELLS_MAX: Final = 20_000_000
PROMQL_SERIES_MAX: Final = 50_000
PROMQL_HISTOGRAMS_MAX: Final = 200_000
"""Bounds of one PromQL query: points read, values (series by steps) of one part of it, series, and points of
exponential histograms."""

PROMQL_TIMEOUT_S: Final = 60
"""How long one PromQL query may take in all."""

METRIC_POINTS_MAX: Final = 11_000
"""Buckets per series that one metric query may return."""

METRIC_SERIES_MAX: Final = 500
"""Series that one metric query may return."""

GENERATED_PASSWORD_S: Final = 24 * 3600
"""How long a generated password is valid."""

BREACHED_ANSWER_MAX_S: Final = 2.0
BREACHED_PAUSE_S: Final = 300.0
"""How long the service for breached passwords may take to answer, and how long it is not asked after it failed to."""

TELEMETRY_CONNECT_MAX_S: Final = 5
"""How long a connection to a ClickHouse server may take."""

TELEMETRY_QUERY_TIMEOUT_S: Final = 30
TELEMETRY_QUERY_MEMORY_BYTES_MAX: Final = 2 * 1024 * 1024 * 1024
TELEMETRY_QUERY_ROWS_MAX: Final = 2_000_000_000
TELEMETRY_QUERY_BYTES_MAX: Final = 256 * 1024 * 1024 * 1024
TELEMETRY_QUERY_RESULT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bounds of one read in ClickHouse: time, memory, rows and bytes read, and size of the result."""
