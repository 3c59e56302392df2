// The messages of OTLP and what their fields are called in JSON. Written by tools/otlp_fields.py
// (make otlp-fields) from the descriptors of opentelemetry-proto: do not edit.
#include "json/json_fields.h"

#define FIELD(name, proto_name, number, kind, flags, of) \
  {name, proto_name, sizeof name - 1, sizeof proto_name - 1, number, kind, flags, of}
#define ALL(of) {of, sizeof of / sizeof *of}
#define MESSAGE(of, roles) {of, sizeof of / sizeof *of, roles}

enum {
  ENUM_SPAN_SPAN_KIND,
  ENUM_SEVERITY_NUMBER,
  ENUM_STATUS_STATUS_CODE,
  ENUM_AGGREGATION_TEMPORALITY,
};

static const json_name SPAN_SPAN_KIND_NAMES[] = {
    {"SPAN_KIND_UNSPECIFIED", 0},
    {"SPAN_KIND_INTERNAL", 1},
    {"SPAN_KIND_SERVER", 2},
    {"SPAN_KIND_CLIENT", 3},
    {"SPAN_KIND_PRODUCER", 4},
    {"SPAN_KIND_CONSUMER", 5},
};

static const json_name SEVERITY_NUMBER_NAMES[] = {
    {"SEVERITY_NUMBER_UNSPECIFIED", 0},
    {"SEVERITY_NUMBER_TRACE", 1},
    {"SEVERITY_NUMBER_TRACE2", 2},
    {"SEVERITY_NUMBER_TRACE3", 3},
    {"SEVERITY_NUMBER_TRACE4", 4},
    {"SEVERITY_NUMBER_DEBUG", 5},
    {"SEVERITY_NUMBER_DEBUG2", 6},
    {"SEVERITY_NUMBER_DEBUG3", 7},
    {"SEVERITY_NUMBER_DEBUG4", 8},
    {"SEVERITY_NUMBER_INFO", 9},
    {"SEVERITY_NUMBER_INFO2", 10},
    {"SEVERITY_NUMBER_INFO3", 11},
    {"SEVERITY_NUMBER_INFO4", 12},
    {"SEVERITY_NUMBER_WARN", 13},
    {"SEVERITY_NUMBER_WARN2", 14},
    {"SEVERITY_NUMBER_WARN3", 15},
    {"SEVERITY_NUMBER_WARN4", 16},
    {"SEVERITY_NUMBER_ERROR", 17},
    {"SEVERITY_NUMBER_ERROR2", 18},
    {"SEVERITY_NUMBER_ERROR3", 19},
    {"SEVERITY_NUMBER_ERROR4", 20},
    {"SEVERITY_NUMBER_FATAL", 21},
    {"SEVERITY_NUMBER_FATAL2", 22},
    {"SEVERITY_NUMBER_FATAL3", 23},
    {"SEVERITY_NUMBER_FATAL4", 24},
};

static const json_name STATUS_STATUS_CODE_NAMES[] = {
    {"STATUS_CODE_UNSET", 0},
    {"STATUS_CODE_OK", 1},
    {"STATUS_CODE_ERROR", 2},
};

static const json_name AGGREGATION_TEMPORALITY_NAMES[] = {
    {"AGGREGATION_TEMPORALITY_UNSPECIFIED", 0},
    {"AGGREGATION_TEMPORALITY_DELTA", 1},
    {"AGGREGATION_TEMPORALITY_CUMULATIVE", 2},
};

static const json_field EXPORT_TRACE_SERVICE_REQUEST_FIELDS[] = {
    FIELD("resourceSpans", "resource_spans", 1, J_MESSAGE, J_LIST, MESSAGE_RESOURCE_SPANS),
};

static const json_field EXPORT_LOGS_SERVICE_REQUEST_FIELDS[] = {
    FIELD("resourceLogs", "resource_logs", 1, J_MESSAGE, J_LIST, MESSAGE_RESOURCE_LOGS),
};

static const json_field EXPORT_METRICS_SERVICE_REQUEST_FIELDS[] = {
    FIELD("resourceMetrics", "resource_metrics", 1, J_MESSAGE, J_LIST, MESSAGE_RESOURCE_METRICS),
};

static const json_field RESOURCE_SPANS_FIELDS[] = {
    FIELD("resource", "resource", 1, J_MESSAGE, J_SET, MESSAGE_RESOURCE),
    FIELD("scopeSpans", "scope_spans", 2, J_MESSAGE, J_LIST, MESSAGE_SCOPE_SPANS),
    FIELD("schemaUrl", "schema_url", 3, J_TEXT, J_ONE, 0),
};

static const json_field RESOURCE_LOGS_FIELDS[] = {
    FIELD("resource", "resource", 1, J_MESSAGE, J_SET, MESSAGE_RESOURCE),
    FIELD("scopeLogs", "scope_logs", 2, J_MESSAGE, J_LIST, MESSAGE_SCOPE_LOGS),
    FIELD("schemaUrl", "schema_url", 3, J_TEXT, J_ONE, 0),
};

static const json_field RESOURCE_METRICS_FIELDS[] = {
    FIELD("resource", "resource", 1, J_MESSAGE, J_SET, MESSAGE_RESOURCE),
    FIELD("scopeMetrics", "scope_metrics", 2, J_MESSAGE, J_LIST, MESSAGE_SCOPE_METRICS),
    FIELD("schemaUrl", "schema_url", 3, J_TEXT, J_ONE, 0),
};

static const json_field RESOURCE_FIELDS[] = {
    FIELD("attributes", "attributes", 1, J_MESSAGE, J_LIST, MESSAGE_KEY_VALUE),
    FIELD("droppedAttributesCount", "dropped_attributes_count", 2, J_UINT32, J_ONE, 0),
    FIELD("entityRefs", "entity_refs", 3, J_MESSAGE, J_LIST, MESSAGE_ENTITY_REF),
};

static const json_field SCOPE_SPANS_FIELDS[] = {
    FIELD("scope", "scope", 1, J_MESSAGE, J_SET, MESSAGE_INSTRUMENTATION_SCOPE),
    FIELD("spans", "spans", 2, J_MESSAGE, J_LIST, MESSAGE_SPAN),
    FIELD("schemaUrl", "schema_url", 3, J_TEXT, J_ONE, 0),
};

static const json_field SCOPE_LOGS_FIELDS[] = {
    FIELD("scope", "scope", 1, J_MESSAGE, J_SET, MESSAGE_INSTRUMENTATION_SCOPE),
    FIELD("logRecords", "log_records", 2, J_MESSAGE, J_LIST, MESSAGE_LOG_RECORD),
    FIELD("schemaUrl", "schema_url", 3, J_TEXT, J_ONE, 0),
};

static const json_field SCOPE_METRICS_FIELDS[] = {
    FIELD("scope", "scope", 1, J_MESSAGE, J_SET, MESSAGE_INSTRUMENTATION_SCOPE),
    FIELD("metrics", "metrics", 2, J_MESSAGE, J_LIST, MESSAGE_METRIC),
    FIELD("schemaUrl", "schema_url", 3, J_TEXT, J_ONE, 0),
};

static const json_field KEY_VALUE_FIELDS[] = {
    FIELD("key", "key", 1, J_TEXT, J_ONE, 0),
    FIELD("value", "value", 2, J_MESSAGE, J_SET, MESSAGE_ANY_VALUE),
    FIELD("keyStrindex", "key_strindex", 3, J_INT32, J_ONE, 0),
};

static const json_field ENTITY_REF_FIELDS[] = {
    FIELD("schemaUrl", "schema_url", 1, J_TEXT, J_ONE, 0),
    FIELD("type", "type", 2, J_TEXT, J_ONE, 0),
    FIELD("idKeys", "id_keys", 3, J_TEXT, J_LIST, 0),
    FIELD("descriptionKeys", "description_keys", 4, J_TEXT, J_LIST, 0),
};

static const json_field INSTRUMENTATION_SCOPE_FIELDS[] = {
    FIELD("name", "name", 1, J_TEXT, J_ONE, 0),
    FIELD("version", "version", 2, J_TEXT, J_ONE, 0),
    FIELD("attributes", "attributes", 3, J_MESSAGE, J_LIST, MESSAGE_KEY_VALUE),
    FIELD("droppedAttributesCount", "dropped_attributes_count", 4, J_UINT32, J_ONE, 0),
};

static const json_field SPAN_FIELDS[] = {
    FIELD("traceId", "trace_id", 1, J_ID, J_ONE, 0),
    FIELD("spanId", "span_id", 2, J_ID, J_ONE, 0),
    FIELD("traceState", "trace_state", 3, J_TEXT, J_ONE, 0),
    FIELD("parentSpanId", "parent_span_id", 4, J_ID, J_ONE, 0),
    FIELD("flags", "flags", 16, J_FIXED32, J_ONE, 0),
    FIELD("name", "name", 5, J_TEXT, J_ONE, 0),
    FIELD("kind", "kind", 6, J_ENUM, J_ONE, ENUM_SPAN_SPAN_KIND),
    FIELD("startTimeUnixNano", "start_time_unix_nano", 7, J_FIXED64, J_ONE, 0),
    FIELD("endTimeUnixNano", "end_time_unix_nano", 8, J_FIXED64, J_ONE, 0),
    FIELD("attributes", "attributes", 9, J_MESSAGE, J_LIST, MESSAGE_KEY_VALUE),
    FIELD("droppedAttributesCount", "dropped_attributes_count", 10, J_UINT32, J_ONE, 0),
    FIELD("events", "events", 11, J_MESSAGE, J_LIST, MESSAGE_SPAN_EVENT),
    FIELD("droppedEventsCount", "dropped_events_count", 12, J_UINT32, J_ONE, 0),
    FIELD("links", "links", 13, J_MESSAGE, J_LIST, MESSAGE_SPAN_LINK),
    FIELD("droppedLinksCount", "dropped_links_count", 14, J_UINT32, J_ONE, 0),
    FIELD("status", "status", 15, J_MESSAGE, J_SET, MESSAGE_STATUS),
};

static const json_field LOG_RECORD_FIELDS[] = {
    FIELD("timeUnixNano", "time_unix_nano", 1, J_FIXED64, J_ONE, 0),
    FIELD("observedTimeUnixNano", "observed_time_unix_nano", 11, J_FIXED64, J_ONE, 0),
    FIELD("severityNumber", "severity_number", 2, J_ENUM, J_ONE, ENUM_SEVERITY_NUMBER),
    FIELD("severityText", "severity_text", 3, J_TEXT, J_ONE, 0),
    FIELD("body", "body", 5, J_MESSAGE, J_SET, MESSAGE_ANY_VALUE),
    FIELD("attributes", "attributes", 6, J_MESSAGE, J_LIST, MESSAGE_KEY_VALUE),
    FIELD("droppedAttributesCount", "dropped_attributes_count", 7, J_UINT32, J_ONE, 0),
    FIELD("flags", "flags", 8, J_FIXED32, J_ONE, 0),
    FIELD("traceId", "trace_id", 9, J_ID, J_ONE, 0),
    FIELD("spanId", "span_id", 10, J_ID, J_ONE, 0),
    FIELD("eventName", "event_name", 12, J_TEXT, J_ONE, 0),
};

static const json_field METRIC_FIELDS[] = {
    FIELD("name", "name", 1, J_TEXT, J_ONE, 0),
    FIELD("description", "description", 2, J_TEXT, J_ONE, 0),
    FIELD("unit", "unit", 3, J_TEXT, J_ONE, 0),
    FIELD("gauge", "gauge", 5, J_MESSAGE, J_SET | J_CHOICE, MESSAGE_GAUGE),
    FIELD("sum", "sum", 7, J_MESSAGE, J_SET | J_CHOICE, MESSAGE_SUM),
    FIELD("histogram", "histogram", 9, J_MESSAGE, J_SET | J_CHOICE, MESSAGE_HISTOGRAM),
    FIELD("exponentialHistogram", "exponential_histogram", 10, J_MESSAGE, J_SET | J_CHOICE, MESSAGE_EXPONENTIAL_HISTOGRAM),
    FIELD("summary", "summary", 11, J_MESSAGE, J_SET | J_CHOICE, MESSAGE_SUMMARY),
    FIELD("metadata", "metadata", 12, J_MESSAGE, J_LIST, MESSAGE_KEY_VALUE),
};

static const json_field ANY_VALUE_FIELDS[] = {
    FIELD("stringValue", "string_value", 1, J_TEXT, J_SET | J_CHOICE, 0),
    FIELD("boolValue", "bool_value", 2, J_BOOL, J_SET | J_CHOICE, 0),
    FIELD("intValue", "int_value", 3, J_INT64, J_SET | J_CHOICE, 0),
    FIELD("doubleValue", "double_value", 4, J_DOUBLE, J_SET | J_CHOICE, 0),
    FIELD("arrayValue", "array_value", 5, J_MESSAGE, J_SET | J_CHOICE, MESSAGE_ARRAY_VALUE),
    FIELD("kvlistValue", "kvlist_value", 6, J_MESSAGE, J_SET | J_CHOICE, MESSAGE_KEY_VALUE_LIST),
    FIELD("bytesValue", "bytes_value", 7, J_BYTES, J_SET | J_CHOICE, 0),
    FIELD("stringValueStrindex", "string_value_strindex", 8, J_INT32, J_SET | J_CHOICE, 0),
};

static const json_field SPAN_EVENT_FIELDS[] = {
    FIELD("timeUnixNano", "time_unix_nano", 1, J_FIXED64, J_ONE, 0),
    FIELD("name", "name", 2, J_TEXT, J_ONE, 0),
    FIELD("attributes", "attributes", 3, J_MESSAGE, J_LIST, MESSAGE_KEY_VALUE),
    FIELD("droppedAttributesCount", "dropped_attributes_count", 4, J_UINT32, J_ONE, 0),
};

static const json_field SPAN_LINK_FIELDS[] = {
    FIELD("traceId", "trace_id", 1, J_ID, J_ONE, 0),
    FIELD("spanId", "span_id", 2, J_ID, J_ONE, 0),
    FIELD("traceState", "trace_state", 3, J_TEXT, J_ONE, 0),
    FIELD("attributes", "attributes", 4, J_MESSAGE, J_LIST, MESSAGE_KEY_VALUE),
    FIELD("droppedAttributesCount", "dropped_attributes_count", 5, J_UINT32, J_ONE, 0),
    FIELD("flags", "flags", 6, J_FIXED32, J_ONE, 0),
};

static const json_field STATUS_FIELDS[] = {
    FIELD("message", "message", 2, J_TEXT, J_ONE, 0),
    FIELD("code", "code", 3, J_ENUM, J_ONE, ENUM_STATUS_STATUS_CODE),
};

static const json_field GAUGE_FIELDS[] = {
    FIELD("dataPoints", "data_points", 1, J_MESSAGE, J_LIST, MESSAGE_NUMBER_DATA_POINT),
};

static const json_field SUM_FIELDS[] = {
    FIELD("dataPoints", "data_points", 1, J_MESSAGE, J_LIST, MESSAGE_NUMBER_DATA_POINT),
    FIELD("aggregationTemporality", "aggregation_temporality", 2, J_ENUM, J_ONE, ENUM_AGGREGATION_TEMPORALITY),
    FIELD("isMonotonic", "is_monotonic", 3, J_BOOL, J_ONE, 0),
};

static const json_field HISTOGRAM_FIELDS[] = {
    FIELD("dataPoints", "data_points", 1, J_MESSAGE, J_LIST, MESSAGE_HISTOGRAM_DATA_POINT),
    FIELD("aggregationTemporality", "aggregation_temporality", 2, J_ENUM, J_ONE, ENUM_AGGREGATION_TEMPORALITY),
};

static const json_field EXPONENTIAL_HISTOGRAM_FIELDS[] = {
    FIELD("dataPoints", "data_points", 1, J_MESSAGE, J_LIST, MESSAGE_EXPONENTIAL_HISTOGRAM_DATA_POINT),
    FIELD("aggregationTemporality", "aggregation_temporality", 2, J_ENUM, J_ONE, ENUM_AGGREGATION_TEMPORALITY),
};

static const json_field SUMMARY_FIELDS[] = {
    FIELD("dataPoints", "data_points", 1, J_MESSAGE, J_LIST, MESSAGE_SUMMARY_DATA_POINT),
};

static const json_field ARRAY_VALUE_FIELDS[] = {
    FIELD("values", "values", 1, J_MESSAGE, J_LIST, MESSAGE_ANY_VALUE),
};

static const json_field KEY_VALUE_LIST_FIELDS[] = {
    FIELD("values", "values", 1, J_MESSAGE, J_LIST, MESSAGE_KEY_VALUE),
};

static const json_field NUMBER_DATA_POINT_FIELDS[] = {
    FIELD("attributes", "attributes", 7, J_MESSAGE, J_LIST, MESSAGE_KEY_VALUE),
    FIELD("startTimeUnixNano", "start_time_unix_nano", 2, J_FIXED64, J_ONE, 0),
    FIELD("timeUnixNano", "time_unix_nano", 3, J_FIXED64, J_ONE, 0),
    FIELD("asDouble", "as_double", 4, J_DOUBLE, J_SET | J_CHOICE, 0),
    FIELD("asInt", "as_int", 6, J_SFIXED64, J_SET | J_CHOICE, 0),
    FIELD("exemplars", "exemplars", 5, J_MESSAGE, J_LIST, MESSAGE_EXEMPLAR),
    FIELD("flags", "flags", 8, J_UINT32, J_ONE, 0),
};

static const json_field HISTOGRAM_DATA_POINT_FIELDS[] = {
    FIELD("attributes", "attributes", 9, J_MESSAGE, J_LIST, MESSAGE_KEY_VALUE),
    FIELD("startTimeUnixNano", "start_time_unix_nano", 2, J_FIXED64, J_ONE, 0),
    FIELD("timeUnixNano", "time_unix_nano", 3, J_FIXED64, J_ONE, 0),
    FIELD("count", "count", 4, J_FIXED64, J_ONE, 0),
    FIELD("sum", "sum", 5, J_DOUBLE, J_SET, 0),
    FIELD("bucketCounts", "bucket_counts", 6, J_FIXED64, J_LIST, 0),
    FIELD("explicitBounds", "explicit_bounds", 7, J_DOUBLE, J_LIST, 0),
    FIELD("exemplars", "exemplars", 8, J_MESSAGE, J_LIST, MESSAGE_EXEMPLAR),
    FIELD("flags", "flags", 10, J_UINT32, J_ONE, 0),
    FIELD("min", "min", 11, J_DOUBLE, J_SET, 0),
    FIELD("max", "max", 12, J_DOUBLE, J_SET, 0),
};

static const json_field EXPONENTIAL_HISTOGRAM_DATA_POINT_FIELDS[] = {
    FIELD("attributes", "attributes", 1, J_MESSAGE, J_LIST, MESSAGE_KEY_VALUE),
    FIELD("startTimeUnixNano", "start_time_unix_nano", 2, J_FIXED64, J_ONE, 0),
    FIELD("timeUnixNano", "time_unix_nano", 3, J_FIXED64, J_ONE, 0),
    FIELD("count", "count", 4, J_FIXED64, J_ONE, 0),
    FIELD("sum", "sum", 5, J_DOUBLE, J_SET, 0),
    FIELD("scale", "scale", 6, J_SINT32, J_ONE, 0),
    FIELD("zeroCount", "zero_count", 7, J_FIXED64, J_ONE, 0),
    FIELD("positive", "positive", 8, J_MESSAGE, J_SET, MESSAGE_EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS),
    FIELD("negative", "negative", 9, J_MESSAGE, J_SET, MESSAGE_EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS),
    FIELD("flags", "flags", 10, J_UINT32, J_ONE, 0),
    FIELD("exemplars", "exemplars", 11, J_MESSAGE, J_LIST, MESSAGE_EXEMPLAR),
    FIELD("min", "min", 12, J_DOUBLE, J_SET, 0),
    FIELD("max", "max", 13, J_DOUBLE, J_SET, 0),
    FIELD("zeroThreshold", "zero_threshold", 14, J_DOUBLE, J_ONE, 0),
};

static const json_field SUMMARY_DATA_POINT_FIELDS[] = {
    FIELD("attributes", "attributes", 7, J_MESSAGE, J_LIST, MESSAGE_KEY_VALUE),
    FIELD("startTimeUnixNano", "start_time_unix_nano", 2, J_FIXED64, J_ONE, 0),
    FIELD("timeUnixNano", "time_unix_nano", 3, J_FIXED64, J_ONE, 0),
    FIELD("count", "count", 4, J_FIXED64, J_ONE, 0),
    FIELD("sum", "sum", 5, J_DOUBLE, J_ONE, 0),
    FIELD("quantileValues", "quantile_values", 6, J_MESSAGE, J_LIST, MESSAGE_SUMMARY_DATA_POINT_VALUE_AT_QUANTILE),
    FIELD("flags", "flags", 8, J_UINT32, J_ONE, 0),
};

static const json_field EXEMPLAR_FIELDS[] = {
    FIELD("filteredAttributes", "filtered_attributes", 7, J_MESSAGE, J_LIST, MESSAGE_KEY_VALUE),
    FIELD("timeUnixNano", "time_unix_nano", 2, J_FIXED64, J_ONE, 0),
    FIELD("asDouble", "as_double", 3, J_DOUBLE, J_SET | J_CHOICE, 0),
    FIELD("asInt", "as_int", 6, J_SFIXED64, J_SET | J_CHOICE, 0),
    FIELD("spanId", "span_id", 4, J_ID, J_ONE, 0),
    FIELD("traceId", "trace_id", 5, J_ID, J_ONE, 0),
};

static const json_field EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS_FIELDS[] = {
    FIELD("offset", "offset", 1, J_SINT32, J_ONE, 0),
    FIELD("bucketCounts", "bucket_counts", 2, J_UINT64, J_LIST, 0),
};

static const json_field SUMMARY_DATA_POINT_VALUE_AT_QUANTILE_FIELDS[] = {
    FIELD("quantile", "quantile", 1, J_DOUBLE, J_ONE, 0),
    FIELD("value", "value", 2, J_DOUBLE, J_ONE, 0),
};

const json_message JSON_MESSAGES[OTLP_MESSAGES] = {
    [MESSAGE_EXPORT_TRACE_SERVICE_REQUEST] = MESSAGE(EXPORT_TRACE_SERVICE_REQUEST_FIELDS, J_PATH),
    [MESSAGE_EXPORT_LOGS_SERVICE_REQUEST] = MESSAGE(EXPORT_LOGS_SERVICE_REQUEST_FIELDS, J_PATH),
    [MESSAGE_EXPORT_METRICS_SERVICE_REQUEST] = MESSAGE(EXPORT_METRICS_SERVICE_REQUEST_FIELDS, J_PATH),
    [MESSAGE_RESOURCE_SPANS] = MESSAGE(RESOURCE_SPANS_FIELDS, J_PATH | J_MARKED),
    [MESSAGE_RESOURCE_LOGS] = MESSAGE(RESOURCE_LOGS_FIELDS, J_PATH | J_MARKED),
    [MESSAGE_RESOURCE_METRICS] = MESSAGE(RESOURCE_METRICS_FIELDS, J_PATH | J_MARKED),
    [MESSAGE_RESOURCE] = MESSAGE(RESOURCE_FIELDS, J_MARKED),
    [MESSAGE_SCOPE_SPANS] = MESSAGE(SCOPE_SPANS_FIELDS, J_PATH | J_MARKED),
    [MESSAGE_SCOPE_LOGS] = MESSAGE(SCOPE_LOGS_FIELDS, J_PATH | J_MARKED),
    [MESSAGE_SCOPE_METRICS] = MESSAGE(SCOPE_METRICS_FIELDS, J_PATH | J_MARKED),
    [MESSAGE_KEY_VALUE] = MESSAGE(KEY_VALUE_FIELDS, J_INNER),
    [MESSAGE_ENTITY_REF] = MESSAGE(ENTITY_REF_FIELDS, J_INNER),
    [MESSAGE_INSTRUMENTATION_SCOPE] = MESSAGE(INSTRUMENTATION_SCOPE_FIELDS, J_MARKED),
    [MESSAGE_SPAN] = MESSAGE(SPAN_FIELDS, J_PATH | J_MARKED),
    [MESSAGE_LOG_RECORD] = MESSAGE(LOG_RECORD_FIELDS, J_PATH | J_MARKED),
    [MESSAGE_METRIC] = MESSAGE(METRIC_FIELDS, J_PATH | J_MARKED),
    [MESSAGE_ANY_VALUE] = MESSAGE(ANY_VALUE_FIELDS, J_INNER),
    [MESSAGE_SPAN_EVENT] = MESSAGE(SPAN_EVENT_FIELDS, J_INNER),
    [MESSAGE_SPAN_LINK] = MESSAGE(SPAN_LINK_FIELDS, J_INNER),
    [MESSAGE_STATUS] = MESSAGE(STATUS_FIELDS, J_INNER),
    [MESSAGE_GAUGE] = MESSAGE(GAUGE_FIELDS, J_PATH),
    [MESSAGE_SUM] = MESSAGE(SUM_FIELDS, J_PATH),
    [MESSAGE_HISTOGRAM] = MESSAGE(HISTOGRAM_FIELDS, J_PATH),
    [MESSAGE_EXPONENTIAL_HISTOGRAM] = MESSAGE(EXPONENTIAL_HISTOGRAM_FIELDS, J_PATH),
    [MESSAGE_SUMMARY] = MESSAGE(SUMMARY_FIELDS, J_PATH),
    [MESSAGE_ARRAY_VALUE] = MESSAGE(ARRAY_VALUE_FIELDS, J_INNER),
    [MESSAGE_KEY_VALUE_LIST] = MESSAGE(KEY_VALUE_LIST_FIELDS, J_INNER),
    [MESSAGE_NUMBER_DATA_POINT] = MESSAGE(NUMBER_DATA_POINT_FIELDS, J_PATH | J_MARKED),
    [MESSAGE_HISTOGRAM_DATA_POINT] = MESSAGE(HISTOGRAM_DATA_POINT_FIELDS, J_PATH | J_MARKED),
    [MESSAGE_EXPONENTIAL_HISTOGRAM_DATA_POINT] = MESSAGE(EXPONENTIAL_HISTOGRAM_DATA_POINT_FIELDS, J_PATH | J_MARKED),
    [MESSAGE_SUMMARY_DATA_POINT] = MESSAGE(SUMMARY_DATA_POINT_FIELDS, J_PATH | J_MARKED),
    [MESSAGE_EXEMPLAR] = MESSAGE(EXEMPLAR_FIELDS, J_INNER),
    [MESSAGE_EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS] = MESSAGE(EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS_FIELDS, J_INNER),
    [MESSAGE_SUMMARY_DATA_POINT_VALUE_AT_QUANTILE] = MESSAGE(SUMMARY_DATA_POINT_VALUE_AT_QUANTILE_FIELDS, J_INNER),
};

const json_enum JSON_ENUMS[] = {
    [ENUM_SPAN_SPAN_KIND] = ALL(SPAN_SPAN_KIND_NAMES),
    [ENUM_SEVERITY_NUMBER] = ALL(SEVERITY_NUMBER_NAMES),
    [ENUM_STATUS_STATUS_CODE] = ALL(STATUS_STATUS_CODE_NAMES),
    [ENUM_AGGREGATION_TEMPORALITY] = ALL(AGGREGATION_TEMPORALITY_NAMES),
};
