import type { ReactNode } from "react";
import { useSetPlace } from "../app/place";
import { Button } from "./controls";
import { plain } from "./pure/formats";
import { terms } from "./pure/terms";
import { Empty } from "./states";

interface NoMatchesProps {
  what: string;
  query: string;
  /** What the API says of a search without results. */
  hint?: string | null | undefined;
}

const LONGER = ["24h", "7d"] as const;

/** Nothing was found: what to drop or widen. */
export function NoMatches({ what, query, hint }: NoMatchesProps): ReactNode {
  const setPlace = useSetPlace();
  const words = terms(query).filter((word) => !/^(AND|OR|NOT)$|[()]/.test(word));
  return (
    <Empty
      title={query === "" ? `No ${what} in this range` : `No ${what} match in this range`}
      actions={
        <>
          {words.length > 0
            ? words.slice(0, 4).map((word) => (
                <Button
                  key={word}
                  onClick={() =>
                    setPlace({
                      q: terms(query)
                        .filter((one) => one !== word)
                        .join(" "),
                    })
                  }
                >
                  Without {plain(word)}
                </Button>
              ))
            : null}
          {LONGER.map((range) => (
            <Button key={range} onClick={() => setPlace({ range, from: undefined, to: undefined })}>
              Last {range === "24h" ? "24 hours" : "7 days"}
            </Button>
          ))}
        </>
      }
    >
      {hint ? plain(hint) : "Try a longer range."}
    </Empty>
  );
}
