import { type ReactNode, useContext } from "react";
import { NowContext, useRange, useSetPlace } from "../../app/place";
import { Button } from "../controls";
import { NothingHere } from "../NothingHere";
import { plain } from "../pure/formats";
import { pieces, without } from "../pure/terms";
import { lengthMs, rangeLabel } from "../pure/times";
import { Empty } from "../states";

interface NoMatchesProps {
  signal: "traces" | "logs";
  what: string;
  query: string;
  /** What the API says of a search without results. */
  hint?: string | null | undefined;
}

const LONGER = ["24h", "7d", "30d"];
const OFFERED_MAX = 4;
const LABEL_CHARS = 40;
/** What the API says of the range, in a form of times that the page has not; the page shows the range itself. */
const SAID_ABOVE = /^No .+? match\. (?=\S)/;

/** Nothing was found: what to drop or widen. */
export function NoMatches({ signal, what, query, hint }: NoMatchesProps): ReactNode {
  const setPlace = useSetPlace();
  const { startMs } = useRange();
  const now = useContext(NowContext).ms;
  // Of alternatives none stands in the way: each alone finds nothing.
  const { all, areAlternatives } = pieces(query);
  const offered = areAlternatives ? [] : [...new Set(all.map(({ text }) => text))].slice(0, OFFERED_MAX);
  const longer = LONGER.filter((range) => now - (lengthMs(range) ?? 0) < startMs).slice(0, 2);
  if (query === "") return <NothingHere signal={signal} />;
  return (
    <Empty
      title={`No ${what} match in this range`}
      actions={
        <>
          {offered.map((piece) => (
            <Button
              key={piece}
              title={`Without ${plain(piece)}`}
              onClick={() => setPlace({ q: without(query, (text) => text === piece) })}
            >
              Without {plain(piece.length > LABEL_CHARS ? `${piece.slice(0, LABEL_CHARS)}…` : piece)}
            </Button>
          ))}
          {longer.map((range) => (
            <Button key={range} onClick={() => setPlace({ range, from: undefined, to: undefined })}>
              {rangeLabel({ range }, undefined)}
            </Button>
          ))}
        </>
      }
    >
      {hint ? plain(hint.replace(SAID_ABOVE, "")) : longer.length > 0 ? "Try a longer range." : null}
    </Empty>
  );
}
