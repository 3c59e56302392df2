// What one copies to send telemetry here: for curl, a collector, and an SDK, with address and key filled in.

export interface Target {
  grpc: string;
  http: string;
  key: string;
}

export const KEY_PLACE = "<API key>";

const hex = (bytes: number): string =>
  [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** One span, as JSON; the ids and the time are made when this is called. */
export function curl({ http, key }: Target, nowMs: number): string {
  const end = BigInt(nowMs) * 1_000_000n;
  const span = {
    traceId: hex(16),
    spanId: hex(8),
    name: "GET /hello",
    kind: 2,
    startTimeUnixNano: String(end - 42_000_000n),
    endTimeUnixNano: String(end),
    attributes: [{ key: "http.response.status_code", value: { intValue: 200 } }],
  };
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "hello" } }] };
  const body = { resourceSpans: [{ resource, scopeSpans: [{ spans: [span] }] }] };
  return `curl ${http}/v1/traces \\
  -H 'authorization: Bearer ${key}' -H 'content-type: application/json' \\
  -d '${JSON.stringify(body)}'`;
}

export function collector({ grpc, key }: Target): string {
  const address = new URL(grpc);
  return `receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:14317     # the collector's own ports; your SDKs send here
      http:
        endpoint: 127.0.0.1:14318

processors:
  batch:
    send_batch_size: 2000
    send_batch_max_size: 2000

exporters:
  otlp_grpc/duoscope:
    endpoint: ${address.host}
    tls:
      insecure: ${address.protocol === "http:"}
    headers:
      authorization: Bearer ${key}
    retry_on_failure:
      max_elapsed_time: 0

service:
  pipelines:
    traces: { receivers: [otlp], processors: [batch], exporters: [otlp_grpc/duoscope] }
    metrics: { receivers: [otlp], processors: [batch], exporters: [otlp_grpc/duoscope] }
    logs: { receivers: [otlp], processors: [batch], exporters: [otlp_grpc/duoscope] }
`;
}

export const sdk = ({ grpc, key }: Target): string => `export OTEL_EXPORTER_OTLP_ENDPOINT=${grpc}
export OTEL_EXPORTER_OTLP_PROTOCOL=grpc
export OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20${key}"
export OTEL_SERVICE_NAME=my-service
`;
