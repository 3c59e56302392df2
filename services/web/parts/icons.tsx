import type { ReactNode } from "react";

const PATHS = {
  services: "M2.5 3.5h11v3.5h-11zM2.5 9h11v3.5h-11zM5 5.2h.01M5 10.7h.01",
  logs: "M2.5 4h11M2.5 8h11M2.5 12h7",
  traces: "M2 4h6M5 8h7M9 12h5",
  metrics: "M2.5 12.5l3.5-5 3 3 4.5-7M2.5 2.5v11h11",
  ingest: "M8 2.5v7M5 6.5l3 3 3-3M2.5 10.5v3h11v-3",
  find: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.5 10.5l3 3",
  send: "M8 13V3M4 7l4-4 4 4M3 13h10",
  history: "M8 4.5V8l2.5 1.5M2.5 8a5.5 5.5 0 1 0 1.6-3.9L2.5 5.7M2.5 2.5v3.2h3.2",
  pin: "M6 2.5h4M6.5 2.5v4L4.5 9h7l-2-2.5v-4M8 9v4.5",
  close: "M4 4l8 8M12 4l-8 8",
  person: "M8 8a2.75 2.75 0 1 0 0-5.5A2.75 2.75 0 0 0 8 8zM2.75 13.5c.6-2.4 2.7-3.6 5.25-3.6s4.65 1.2 5.25 3.6",
  right: "M6 4l4 4-4 4",
  down: "M4 6l4 4 4-4",
} as const;

/** A small picture that only repeats what a text beside it says. */
export function Icon({ name, size = 16 }: { name: keyof typeof PATHS; size?: number }): ReactNode {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
