import { type ReactNode, useMemo } from "react";
import { mayI } from "../../app/session";
import { Page, pageStyles } from "../../parts/Page";
import { Skeleton } from "../../parts/states";
import { Cardinality, useCardinality } from "./Cardinality";
import styles from "./Ingest.module.css";
import { Limits } from "./Limits";
import { Rejections } from "./Rejections";
import { busiest, Usage, useUsage } from "./Usage";

/** What arrives here, what of it was left out and why, and how near the limits are. */
export function Ingest(): ReactNode {
  const usage = useUsage();
  const cardinality = useCardinality();
  const peak = useMemo(() => busiest(usage.data), [usage.data]);
  return (
    <Page title="Ingest" busy={usage.isFetching || cardinality.isFetching}>
      <div className={pageStyles.scroll}>
        <div className={styles.all}>
          <Usage answer={usage} />
          <Rejections />
          {usage.isPending ? <Skeleton /> : <Limits peak={peak} cardinality={cardinality.data} />}
          {mayI("metric:read") ? <Cardinality answer={cardinality} /> : null}
        </div>
      </div>
    </Page>
  );
}
