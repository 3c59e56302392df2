import type { ReactNode } from "react";
import type { Offer } from "../pure/completion";
import { plain, shortCount } from "../pure/formats";
import styles from "./Offers.module.css";

interface OffersProps {
  id: string;
  label: string;
  offers: readonly Offer[];
  /** The one that Enter takes; -1 for none. */
  chosen: number;
  onChoose: (offer: Offer) => void;
}

/** The list below a line of text: what may be written there, with counts. The line keeps the focus. */
export function Offers({ id, label, offers, chosen, onChoose }: OffersProps): ReactNode {
  if (offers.length === 0) return <p className={`${styles.offers} ${styles.none}`}>No query ran here yet.</p>;
  return (
    <div id={id} className={styles.offers} role="listbox" aria-label={label}>
      {offers.map((offer, index) => (
        // biome-ignore lint/a11y/useKeyWithClickEvents: the line that has the focus takes the keys
        <div
          key={offer.value}
          id={`${id}${index}`}
          className={styles.offer}
          role="option"
          aria-selected={index === chosen}
          onPointerDown={(event) => event.preventDefault()}
          onClick={() => onChoose(offer)}
        >
          <span className={styles.value}>{plain(offer.value)}</span>
          {offer.count === undefined ? null : <span className={styles.count}>{shortCount(offer.count)}</span>}
        </div>
      ))}
    </div>
  );
}
