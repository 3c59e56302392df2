import type { Brush } from "./useCanvas";

export interface HeatCell {
  bucket: number;
  row: number;
  count: number;
  errors: number;
}

const FAINTEST = 0.18;

/** Paint the cells of a heatmap, the more there is in one the stronger, by the logarithm. */
export function paintCells(
  { context, width, height, colour }: Brush,
  cells: readonly HeatCell[],
  buckets: number,
  lowest: number,
  rows: number,
): void {
  const [plain, failed] = [colour("accent"), colour("error-fill")];
  const most = Math.log1p(cells.reduce((found, cell) => Math.max(found, cell.count), 1));
  const [wide, high] = [width / buckets, height / rows];
  for (const { bucket, row, count: number, errors } of cells) {
    const top = (rows - 1 - (row - lowest)) * high;
    context.globalAlpha = FAINTEST + (1 - FAINTEST) * (Math.log1p(number) / most);
    context.fillStyle = plain;
    context.fillRect(bucket * wide, top, Math.max(1, wide - 0.5), Math.max(1, high - 0.5));
    if (errors === 0) continue;
    // Of a cell, as much is red as has failed, and enough to be seen.
    const part = Math.min(wide, Math.max(2, (errors / number) * wide));
    context.globalAlpha = 1;
    context.fillStyle = failed;
    context.fillRect((bucket + 1) * wide - part, top, Math.max(1, part - 0.5), Math.max(1, high - 0.5));
  }
  context.globalAlpha = 1;
}
