import { Fragment, type ReactNode, useLayoutEffect, useRef } from "react";
import { Button, CopyButton } from "../controls";
import { Icon } from "../icons";
import { plain, valueText } from "../pure/formats";
import { term } from "../pure/terms";
import { useTermKeys } from "../query/useTermKeys";
import styles from "./Details.module.css";

interface DetailsProps {
  title: ReactNode;
  label: string;
  tools?: ReactNode;
  onClose: () => void;
  children: ReactNode;
}

/** The panel beside a list: everything of one record or span. */
export function Details({ title, label, tools, onClose, children }: DetailsProps): ReactNode {
  const panel = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    const element = panel.current;
    // Whoever closes it with the focus inside goes on in the list.
    return () => {
      if (element?.contains(document.activeElement)) {
        document.querySelector<HTMLElement>("[role=grid], [role=treegrid]")?.focus({ preventScroll: true });
      }
    };
  }, []);
  return (
    <aside ref={panel} className={styles.panel} aria-label={label}>
      <div className={styles.head}>
        <h2 className={styles.title}>{title}</h2>
        {tools}
        <Button look="quiet" icon small aria-label="Close" title="Close (Esc)" onClick={onClose}>
          <Icon name="close" />
        </Button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys */}
      <div className={styles.body} tabIndex={0} role="region" aria-label={`${label}, all of it`}>
        {children}
      </div>
    </aside>
  );
}

export function Section({ title, children }: { title: string; children: ReactNode }): ReactNode {
  return (
    <section className={styles.section}>
      <h3>{title}</h3>
      {children}
    </section>
  );
}

export interface FieldOf {
  name: string;
  value: unknown;
  /** How a query names it; undefined where it cannot. */
  field?: string | undefined;
  /** What a query says for the value, if that is not the value itself. */
  asked?: string | number | undefined;
}

const LONG_CHARS = 1_000;

interface FieldsProps {
  fields: readonly FieldOf[];
  /** Adds a term to the query. Without it fields can only be copied. */
  onTerm?: ((added: string) => void) | undefined;
}

/** A name that a line ends after a dot of, rather than within a word. */
const broken = (name: string): ReactNode =>
  name.split(/(?<=\.)/).map((part, at) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: parts of a name have no ids, and their order is fixed
    <Fragment key={at}>
      {at > 0 ? <wbr /> : null}
      {part}
    </Fragment>
  ));

/** Names and values; a click includes, excludes or copies. */
export function Fields({ fields, onTerm }: FieldsProps): ReactNode {
  useTermKeys(onTerm !== undefined);
  return (
    <dl>
      {fields.map(({ name, value, field, asked = value }) => {
        const include = onTerm && field ? term(field, asked) : undefined;
        const exclude = onTerm && field ? term(field, asked, true) : undefined;
        const text = valueText(value);
        const isLong = text.length > LONG_CHARS;
        return (
          <div key={name} className={styles.field} data-value="">
            <dt>{broken(plain(name))}</dt>
            <dd>
              {isLong ? (
                // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys
                <div className={styles.long} tabIndex={0} role="region" aria-label={plain(name)}>
                  {text}
                </div>
              ) : (
                text
              )}
              <span className={styles.actions}>
                {include && onTerm ? (
                  <Button small data-term="only" title={`Only ${plain(include)} (f)`} onClick={() => onTerm(include)}>
                    + Only
                  </Button>
                ) : null}
                {exclude && onTerm ? (
                  <Button
                    small
                    data-term="not"
                    title={`Without ${plain(exclude.slice(1))} (F)`}
                    onClick={() => onTerm(exclude)}
                  >
                    − Not
                  </Button>
                ) : null}
                <CopyButton text={typeof value === "string" ? value : text} />
              </span>
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

/** A long text as it is. */
export function Text({ children }: { children: string }): ReactNode {
  return <pre className={styles.text}>{plain(children)}</pre>;
}

const RESERVED = new Set(
  "service scope body severity severity_text event trace_id span_id parent_span_id name status status_message kind duration".split(
    " ",
  ),
);

/** Attributes as fields; a name that a field of the language has is written with its place before it. */
export const attributeFields = (
  attributes: Record<string, unknown>,
  place: "attributes" | "resource" | "event" = "attributes",
): FieldOf[] =>
  Object.entries(attributes).map(([name, value]) => ({
    name,
    value,
    field: place !== "attributes" || RESERVED.has(name) ? `${place}.${name}` : name,
  }));

export const detailStyles = styles;
