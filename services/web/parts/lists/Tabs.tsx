import type { ReactNode } from "react";
import { Button } from "../controls";
import styles from "./Tabs.module.css";

interface TabsProps<T extends string> {
  label: string;
  tabs: readonly (readonly [T, string])[];
  chosen: T;
  onChoose: (tab: T) => void;
}

/** Tabs of a panel, which stay in sight while it scrolls. */
export function Tabs<T extends string>({ label, tabs, chosen, onChoose }: TabsProps<T>): ReactNode {
  return (
    <div className={styles.tabs} role="tablist" aria-label={label}>
      {tabs.map(([key, name]) => (
        <Button key={key} small role="tab" aria-selected={chosen === key} onClick={() => onChoose(key)}>
          {name}
        </Button>
      ))}
    </div>
  );
}
