import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { answered, api } from "../../api/client";
import { useRange, useTenantId } from "../../app/place";
import { fitting, type Offer } from "../../parts/pure/completion";
import { FUNCTIONS, type PromWriting } from "../../parts/pure/promCompletion";

const OFFERED_MAX = 10;
const LIMIT = "1000";
const NONE: readonly string[] = [];

/** The names and values that may stand where somebody writes an expression. */
export function usePromCompletion(writing: PromWriting | undefined): readonly Offer[] {
  const tenantId = useTenantId();
  const { startMs, endMs } = useRange();
  const asked = useSettled(writing);
  const label = asked?.kind === "name" ? "__name__" : asked?.kind === "value" ? asked.label : "";
  const metric = asked?.metric ?? "";
  const names = useQuery({
    queryKey: ["promql names", tenantId, startMs, endMs, asked?.kind, label, metric],
    queryFn: async ({ signal }) => {
      const times = { start: String(startMs / 1000), end: String(endMs / 1000), limit: LIMIT };
      const query = { ...times, ...(metric === "" ? {} : { "match[]": [metric] }) };
      const answer =
        label === ""
          ? await answered(api.GET("/api/v1/prom/api/v1/labels", { params: { query }, signal }))
          : await answered(
              api.GET("/api/v1/prom/api/v1/label/{name}/values", { params: { path: { name: label }, query }, signal }),
            );
      return answer.data as readonly string[];
    },
    enabled: asked !== undefined,
    retry: false,
  });
  if (writing === undefined) return [];
  const found = names.isPlaceholderData ? NONE : (names.data ?? NONE);
  const all = writing.kind === "name" ? [...found, ...FUNCTIONS] : found.filter((name) => name !== "__name__");
  return fitting(
    [...new Set(all)].map((value) => ({ value })),
    writing.prefix,
    OFFERED_MAX,
  );
}

const PAUSE_MS = 120;

/** What is being written once nobody has changed what is asked for a moment. */
function useSettled(writing: PromWriting | undefined): PromWriting | undefined {
  const [settled, setSettled] = useState(writing);
  const key = writing && `${writing.kind} ${writing.label} ${writing.metric}`;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the prefix is looked for among what is there
  useEffect(() => {
    const timer = setTimeout(() => setSettled(writing), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [key]);
  return settled;
}
