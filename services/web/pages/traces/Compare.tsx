import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { answered, api } from "../../api/client";
import type { ComparedField, ComparedSet, Comparison } from "../../api/schema";
import { usePlace, useRange, useSetPlace, useTenantId } from "../../app/place";
import { Button } from "../../parts/controls";
import { Details, Section } from "../../parts/lists/Details";
import { count, counted, percent, plain } from "../../parts/pure/formats";
import { parsedBox } from "../../parts/pure/heat";
import { fieldName, term, withTerm } from "../../parts/pure/terms";
import { iso } from "../../parts/pure/times";
import { useTermKeys } from "../../parts/query/useTermKeys";
import { Empty, ErrorNote, Skeleton } from "../../parts/states";
import styles from "./Compare.module.css";

const FIELDS_MAX = 30;
const VALUES_SHOWN = 5;

const sized = ({ span_count: all, sampled_count: sampled }: ComparedSet): string =>
  sampled < all ? `${count(sampled)} of ${counted(all, "span")}` : counted(all, "span");

function whyNothing({ inside, outside }: Comparison): string {
  if (inside.span_count > 0 && outside.span_count > 0)
    return "The spans in the box have the same values as the others.";
  if (inside.span_count > 0) return "All spans that match are in the box: draw a smaller one.";
  if (outside.span_count > 0) return "No span is in the box: draw it where the map shows spans.";
  return "No span of this range of time matches the query.";
}

/** What the spans in the box have in common, and the others have not: the fields that differ most come first. */
export function Compare({ query }: { query: string }): ReactNode {
  const tenantId = useTenantId();
  const range = useRange();
  const place = usePlace();
  const setPlace = useSetPlace();
  const box = parsedBox(place.box);
  useTermKeys();
  const answer = useQuery({
    queryKey: ["compare", tenantId, range.start, range.end, query, place.box],
    queryFn: ({ signal }) => {
      const { startMs = 0, endMs = 0, minNs = 0, maxNs = 0 } = box ?? {};
      const selection = { start: iso(startMs), end: iso(endMs), min_duration_ns: minNs, max_duration_ns: maxNs };
      const body = { query, start: range.start, end: range.end, selection, limit: FIELDS_MAX };
      return answered(api.POST("/api/v1/traces/compare", { body, signal }));
    },
    enabled: box !== undefined,
  });
  const close = (): void => setPlace({ view: undefined, box: undefined });
  const { data } = answer;
  return (
    <Details label="Comparison" title="What the spans in the box have in common" onClose={close}>
      {answer.error ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Skeleton /> : null}
      {data ? (
        <div className={styles.all} data-old={answer.isPlaceholderData}>
          <p className={styles.legend}>
            <span className={styles.inside}>In the box: {sized(data.inside)}</span>
            <span className={styles.outside}>The rest: {sized(data.outside)}</span>
          </p>
          {data.fields.length === 0 ? <Empty title="Nothing to compare">{whyNothing(data)}</Empty> : null}
          {data.fields.map((field) => (
            <Compared
              key={field.name}
              field={field}
              onTerm={(added) => setPlace({ q: withTerm(query, added), view: undefined, box: undefined })}
            />
          ))}
          {data.unique_fields.length > 0 ? (
            <p className={styles.note}>
              Not compared, since most spans have a value of their own: {data.unique_fields.map(plain).join(", ")}.
            </p>
          ) : null}
        </div>
      ) : null}
    </Details>
  );
}

function Compared({ field, onTerm }: { field: ComparedField; onTerm: (added: string) => void }): ReactNode {
  return (
    <Section title={plain(field.name)}>
      <ul className={styles.values}>
        {field.values.slice(0, VALUES_SHOWN).map((one) => {
          // Null stands for spans without the field.
          const none = `${fieldName(field.name)}:*`;
          const only = one.value === null ? `-${none}` : term(field.name, one.value);
          const not = one.value === null ? none : term(field.name, one.value, true);
          const words = one.value === null ? "(none)" : plain(one.value);
          return (
            <li key={one.value ?? "\0none"} className={styles.value} data-value="">
              <span className={styles.name} title={words}>
                {words === "" ? '""' : words}
              </span>
              <span className={styles.bars}>
                <Bar share={one.inside_share} name="inside" />
                <Bar share={one.outside_share} name="outside" />
              </span>
              <span className={styles.actions}>
                {only ? (
                  <Button small data-term="only" aria-label={`Only ${plain(only)}`} onClick={() => onTerm(only)}>
                    + Only
                  </Button>
                ) : null}
                {not ? (
                  <Button small data-term="not" aria-label={`Not: ${plain(only ?? not)}`} onClick={() => onTerm(not)}>
                    − Not
                  </Button>
                ) : null}
              </span>
            </li>
          );
        })}
      </ul>
    </Section>
  );
}

function Bar({ share, name }: { share: number; name: "inside" | "outside" }): ReactNode {
  return (
    <span className={styles.bar}>
      <span className={styles.track}>
        <span className={styles[name]} style={{ width: `${share * 100}%` }} />
      </span>
      <span className={styles.share}>
        <span className="hidden">{name === "inside" ? "In the box" : "The rest"}</span>
        {percent(share)}
      </span>
    </span>
  );
}
