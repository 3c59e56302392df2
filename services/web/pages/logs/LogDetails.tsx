import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useMemo, useState } from "react";
import { answered, api } from "../../api/client";
import type { LogRecord } from "../../api/schema";
import { type Place, sameTime, useTenantId } from "../../app/place";
import { mayI } from "../../app/session";
import { Button, buttonClass, CopyButton } from "../../parts/controls";
import { attributeFields, Details, detailStyles, Fields, Section, Text } from "../../parts/lists/Details";
import { Tabs } from "../../parts/lists/Tabs";
import { unfolded } from "../../parts/pure/bodies";
import { counted, severity } from "../../parts/pure/formats";
import { moment, type Zone } from "../../parts/pure/times";
import { ErrorNote } from "../../parts/states";
import { Context } from "./Context";

export type LogTab = "record" | "context";

const TABS = [
  ["record", "Record"],
  ["context", "Around it"],
] as const;

export interface PanelProps {
  zone: Zone;
  tab: LogTab;
  onTab: (tab: LogTab) => void;
  onOpen: (record: LogRecord) => void;
  onClose: () => void;
  onTerm: (added: string) => void;
}

interface LogDetailsProps extends PanelProps {
  record: LogRecord;
}

/** How a query names the severity of what has none. */
const NO_SEVERITY = { field: "severity", asked: 0 };

/** Everything of one record. What the list has cut is fetched. */
export function LogDetails({ record: listed, zone, tab, onTab, onOpen, onClose, onTerm }: LogDetailsProps): ReactNode {
  const tenantId = useTenantId();
  const [isRaw, setRaw] = useState(false);
  const whole = useQuery({
    queryKey: ["log", tenantId, listed.id],
    queryFn: ({ signal }) =>
      answered(api.GET("/api/v1/logs/{record_id}", { params: { path: { record_id: listed.id } }, signal })),
    enabled: listed.truncated.length > 0,
  });
  const record = whole.data?.id === listed.id ? whole.data : listed;
  const { day, time } = moment(record.timestamp, zone, 9);
  const body = typeof record.body === "string" ? record.body : JSON.stringify(record.body, undefined, 2);
  const parts = useMemo(() => unfolded(record.body), [record]);
  const traceId = record.trace_id;
  const word = severity(record.severity_number);
  return (
    <Details
      label="Log record"
      title={`${day} ${time}`}
      tools={<CopyButton text={JSON.stringify(record, undefined, 2)} label="Copy JSON" />}
      onClose={onClose}
    >
      <Tabs label="Record or what is around it" tabs={TABS} chosen={tab} onChoose={onTab} />
      {tab === "context" ? (
        <Context record={record} zone={zone} onOpen={onOpen} />
      ) : (
        <>
          {whole.error ? <ErrorNote error={whole.error} retry={() => void whole.refetch()} /> : null}
          <Section title="Body">
            {parts && !isRaw ? (
              <>
                <Fields
                  onTerm={onTerm}
                  fields={parts.leaves.map(({ path, value }) => ({
                    name: path,
                    value,
                    field: parts.isStructured ? `body.${path}` : undefined,
                  }))}
                />
                {parts.more > 0 ? <p>And {counted(parts.more, "more value", "more values")}.</p> : null}
              </>
            ) : (
              <Text>{body ?? ""}</Text>
            )}
            <div className={detailStyles.row}>
              <CopyButton text={body ?? ""} />
              {parts ? (
                <Button small aria-pressed={isRaw} onClick={() => setRaw(!isRaw)}>
                  As text
                </Button>
              ) : null}
              {traceId && mayI("trace:read") ? (
                <Link
                  to="/t/$tenantId/traces/$traceId"
                  params={{ tenantId, traceId }}
                  search={(was: Place) => ({ ...sameTime(was), ...(record.span_id ? { open: record.span_id } : {}) })}
                  className={buttonClass("plain", true)}
                  title="Open the trace (o)"
                >
                  Open the trace
                </Link>
              ) : null}
            </div>
          </Section>
          <Section title="Record">
            <Fields
              onTerm={onTerm}
              fields={[
                { name: "service", value: record.service_name, field: "service" },
                { name: "severity", value: word, ...(word === "none" ? NO_SEVERITY : { field: "severity" }) },
                ...(record.severity_text
                  ? [{ name: "severity_text", value: record.severity_text, field: "severity_text" }]
                  : []),
                ...(record.event_name ? [{ name: "event", value: record.event_name, field: "event" }] : []),
                ...(traceId ? [{ name: "trace_id", value: traceId, field: "trace_id" }] : []),
                ...(record.span_id ? [{ name: "span_id", value: record.span_id, field: "span_id" }] : []),
              ]}
            />
          </Section>
          <Attributes title="Attributes" attributes={record.attributes} place="attributes" onTerm={onTerm} />
          <Attributes title="Resource" attributes={record.resource.attributes} place="resource" onTerm={onTerm} />
          {record.scope.name ? (
            <Section title="Scope">
              <Fields onTerm={onTerm} fields={[{ name: "name", value: record.scope.name, field: "scope" }]} />
            </Section>
          ) : null}
        </>
      )}
    </Details>
  );
}

interface AttributesProps {
  title: string;
  attributes: Record<string, unknown>;
  place: "attributes" | "resource";
  onTerm: (added: string) => void;
}

function Attributes({ title, attributes, place, onTerm }: AttributesProps): ReactNode {
  const fields = attributeFields(attributes, place);
  return fields.length === 0 ? null : (
    <Section title={title}>
      <Fields fields={fields} onTerm={onTerm} />
    </Section>
  );
}
