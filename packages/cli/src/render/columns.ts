/**
 * Two columns that grow at their own pace: the transcript on the left, the lane on the right. A row is finished when
 * the column that wants to write finds its half taken; until then it is the screen's changing line.
 * @module
 */
import { cutLine, padLine } from "./measure.ts";
import type { Line, Screen, Span } from "./screen.ts";

interface Cell {
  readonly text: string;
  readonly style?: (text: string) => string;
}

export interface Columns {
  /** Characters of one line of the left column. */
  readonly leftWidth: number;
  addLeft(cell: Cell): void;
  /** Shows text in the left half of the open row that may still change. */
  previewLeft(cell: Cell): void;
  /** `beside` separates the columns in this row. */
  addRight(cell: Cell, beside: Cell): void;
  /** Separates the columns from now on. */
  setBar(next: Cell): void;
  /** Lines below the open row, e.g. what the user is typing. */
  setFooter(lines: readonly Line[]): void;
  /** Finishes the open row. */
  close(): void;
}

/** The lane's share of the screen, with its bar. */
const rightWidth = 40;

interface Row {
  left: Cell | null;
  right: Cell | null;
  bar: Cell;
}

export function createColumns(screen: Screen): Columns {
  let footer: readonly Line[] = [];
  let bar: Cell = { text: " " };
  let row: Row = { left: null, right: null, bar };
  let preview: Cell | null = null;
  const leftWidth = () => screen.width - rightWidth;

  const lineOf = (left: Cell | null) => joinCells(row, left, leftWidth());
  const isOpen = () => row.left !== null || row.right !== null;
  const finish = () => {
    if (isOpen()) screen.write([lineOf(row.left)]);
    row = { left: null, right: null, bar };
  };
  const draw = () => {
    // Text that may still change has no row of its own yet.
    const left = row.left ?? preview;
    screen.setLive([...(left === null && row.right === null ? [] : [lineOf(left)]), ...footer]);
  };

  return {
    get leftWidth() {
      return leftWidth();
    },
    addLeft(cell) {
      if (row.left !== null) finish();
      preview = null;
      row.left = cell;
      draw();
    },
    previewLeft(cell) {
      if (row.left !== null) finish();
      preview = cell;
      draw();
    },
    addRight(cell, beside) {
      if (row.right !== null) finish();
      row = { ...row, right: cell, bar: beside };
      draw();
    },
    setBar(next) {
      bar = next;
      // What the lane says of a row stands beside the state that it speaks of.
      if (row.right === null) row.bar = next;
      draw();
    },
    setFooter(lines) {
      footer = lines;
      draw();
    },
    close() {
      footer = [];
      preview = null;
      finish();
      screen.close();
    },
  };
}

/** `left` may be another text than the row's own: one that still changes. */
function joinCells(row: Row, left: Cell | null, width: number): Line {
  const text = span(left, padLine(cutLine(left?.text ?? "", width), width));
  return row.right === null ? [text, row.bar] : [text, row.bar, { text: " " }, row.right];
}

function span(cell: Cell | null, text: string): Span {
  return cell?.style === undefined ? { text } : { text, style: cell.style };
}
