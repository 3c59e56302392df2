import type { ReactNode } from "react";
import { Page, pageStyles } from "../../parts/Page";
import { SendData } from "../../parts/SendData";

/** How to send telemetry, at any time. */
export function Start(): ReactNode {
  return (
    <Page title="Send data" timed={false}>
      <div className={pageStyles.scroll}>
        <SendData />
      </div>
    </Page>
  );
}
