// Sends one known set of each signal with the stock OpenTelemetry SDK for Node.js and prints what only it knows: the ids.
//
// Usage: node send.mjs <grpc|http|proto> <endpoint> <api key> <service> <unix seconds of the items>

import { Metadata } from '@grpc/grpc-js';
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, createTraceState, trace } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { AggregationTemporality, AggregationType, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const [transport, endpoint, key, service, seconds] = process.argv.slice(2);
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${transport}`);
const { OTLPLogExporter } = await import(`@opentelemetry/exporter-logs-otlp-${transport}`);
const { OTLPMetricExporter } = await import(`@opentelemetry/exporter-metrics-otlp-${transport}`);

const at = (nanos) => [Number(seconds), nanos];
const REMOTE = {
  traceId: '0123456789abcdef0123456789abcdef',
  spanId: '1122334455667788',
  traceFlags: TraceFlags.SAMPLED,
  isRemote: true,
  traceState: createTraceState('vendor=x'),
};
const ATTRIBUTES = {
  text: 'quoted "\\\n\u2028é😀',
  empty: '',
  yes: true,
  no: false,
  int: -42,
  large: 9007199254740991,
  double: 2.25,
  texts: ['a', 'b'],
  ints: [1, 2],
  none: [],
};

function exporter(Exporter, path, options = {}) {
  if (transport === 'grpc') {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${key}`);
    return new Exporter({ url: endpoint, metadata, compression: 'gzip', ...options });
  }
  const compression = transport === 'proto' ? 'gzip' : 'none';
  return new Exporter({ url: `${endpoint}${path}`, headers: { authorization: `Bearer ${key}` }, compression, ...options });
}

const resource = resourceFromAttributes({ 'service.name': service, 'process.pid': 42, 'host.up': true, load: 0.5, tags: ['a', 'b'] });
const scope = ['interop', '9.8', { schemaUrl: 'https://opentelemetry.io/schemas/1.30.0' }];

const tracers = new NodeTracerProvider({
  resource,
  spanLimits: { eventCountLimit: 2, linkCountLimit: 1 },
  spanProcessors: [new BatchSpanProcessor(exporter(OTLPTraceExporter, '/v1/traces'))],
});
const tracer = tracers.getTracer(...scope);
const root = tracer.startSpan(
  'root',
  { kind: SpanKind.SERVER, attributes: ATTRIBUTES, startTime: at(1), root: true, links: [{ context: REMOTE, attributes: { why: 'retry', n: [1, 2] } }] },
  ROOT_CONTEXT,
);
for (let n = 0; n < 3; n++) root.addEvent(`event ${n}`, { n, list: ['x'] }, at(10 + n));
root.setStatus({ code: SpanStatusCode.ERROR, message: 'it broke' });
const inside = trace.setSpan(ROOT_CONTEXT, root);
[SpanKind.INTERNAL, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER].forEach((kind, n) => {
  const child = tracer.startSpan(`child ${n}`, { kind, startTime: at(100 + n) }, inside);
  child.setStatus({ code: SpanStatusCode.OK });
  child.end(at(200 + n));
});
root.end(at(999_999_999));
tracer.startSpan('of a remote parent', { startTime: at(5) }, trace.setSpanContext(ROOT_CONTEXT, REMOTE)).end(at(6));

const loggers = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor(exporter(OTLPLogExporter, '/v1/logs'))] });
const logger = loggers.getLogger(...scope);
const nested = { ...ATTRIBUTES, bytes: new Uint8Array([255, 0]), deep: { a: [1, { b: [2, { c: ['x'] }] }] } };
['plain text', '', true, 42, 1.5, new Uint8Array([254]), ['a', { b: 1 }], nested].forEach((body, n) => {
  logger.emit({
    timestamp: at(n),
    observedTimestamp: at(100 + n),
    severityNumber: SeverityNumber.WARN2,
    severityText: 'WARNING',
    eventName: `event.${n}`,
    body,
    attributes: nested,
    context: inside,
  });
});

const delta = { temporalityPreference: AggregationTemporality.DELTA };
const reader = new PeriodicExportingMetricReader({
  exporter: exporter(OTLPMetricExporter, '/v1/metrics', delta),
  exportIntervalMillis: 3_600_000,
});
const meters = new MeterProvider({
  resource,
  readers: [reader],
  views: [{ instrumentName: '*.exponential', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
});
const meter = meters.getMeter(...scope);
const ofA = { route: '/a', status: 200 };
const ofB = { route: '/b"', status: 500 };
const counter = meter.createCounter(`${service}.counter`, { unit: '1', description: 'delta, of integers' });
counter.add(3, ofA);
counter.add(4, ofB);
meter.createUpDownCounter(`${service}.open`, { unit: '{connection}' }).add(-2.5, ofA);
meter.createGauge(`${service}.gauge`, { unit: 'Cel' }).record(-7.25, ofA);
for (const kind of ['explicit', 'exponential']) {
  const histogram = meter.createHistogram(`${service}.${kind}`, { unit: 'ms', description: kind });
  for (const value of [1, 2, 30]) histogram.record(value, ofA);
}

await Promise.all([tracers.forceFlush(), loggers.forceFlush(), meters.forceFlush()]);
console.log(JSON.stringify({ trace_id: root.spanContext().traceId, span_id: root.spanContext().spanId }));
await Promise.all([tracers.shutdown(), loggers.shutdown(), meters.shutdown()]);
