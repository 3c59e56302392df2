import { useIsFetching } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { usePlace, useSetPlace } from "../../app/place";
import { Button } from "../../parts/controls";
import { Page } from "../../parts/Page";
import { newQuery, parsedQueries, queriesText } from "../../parts/pure/metricQueries";
import { Catalogue } from "./Catalogue";
import { Explorer } from "./Explorer";
import styles from "./Metrics.module.css";
import { PromQl } from "./PromQl";

/** All metrics, or what somebody asks of some. */
export function Metrics(): ReactNode {
  const { m, promql, view: of } = usePlace();
  const setPlace = useSetPlace();
  const isBusy = useIsFetching({ queryKey: ["metric"] }) > 0;
  const queries = parsedQueries(m);
  const view = promql !== undefined || of === "promql" ? "promql" : queries.length > 0 ? "explore" : "all";
  const none = {
    m: undefined,
    formula: undefined,
    promql: undefined,
    view: undefined,
    open: undefined,
    sort: undefined,
  };
  return (
    <Page
      title="Metrics"
      busy={isBusy}
      tools={
        <fieldset className={styles.views} aria-label="View">
          <Button
            aria-pressed={view === "all"}
            title="All metrics, by name"
            onClick={() => view !== "all" && setPlace(none)}
          >
            Catalogue
          </Button>
          <Button
            aria-pressed={view === "explore"}
            title="Up to six queries, and a formula over them"
            onClick={() => view !== "explore" && setPlace({ ...none, m: queriesText([newQuery("")]) })}
          >
            Explore
          </Button>
          <Button
            aria-pressed={view === "promql"}
            title="An expression of PromQL"
            onClick={() => view !== "promql" && setPlace({ ...none, view: "promql" })}
          >
            PromQL
          </Button>
        </fieldset>
      }
    >
      {view === "promql" ? <PromQl expression={promql ?? ""} /> : null}
      {view === "explore" ? <Explorer queries={queries} /> : null}
      {view === "all" ? <Catalogue /> : null}
    </Page>
  );
}
