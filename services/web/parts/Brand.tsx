import type { ReactNode } from "react";
import { BASE } from "../api/client";

/** The sign of duoscope. */
export function Mark({ size = 20 }: { size?: number }): ReactNode {
  return <img src={`${BASE}icon.svg`} width={size} height={size} alt="" />;
}
