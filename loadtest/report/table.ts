import { html, type Html, type Tone } from "./html.ts";

export interface Column {
  readonly title: string;
  /** Numbers stand to the right, under each other. */
  readonly number?: boolean;
}

export type Cell = string | Html | { readonly text: string; readonly tone: Tone };

/** A table; cells beyond the columns are an error of the caller and are shown as they come. */
export const table = (columns: readonly Column[], rows: readonly (readonly Cell[])[]): Html =>
  html`<div class="scroll">
    <table>
      <thead>
        <tr>
          ${columns.map(({ title, number }) => html`<th class="${number ? "number" : ""}">${title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (cells) =>
            html`<tr>
              ${cells.map((cell, n) => tableCell(cell, columns[n]?.number === true))}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;

function tableCell(cell: Cell, number: boolean): Html {
  const tone = typeof cell === "object" && "tone" in cell ? cell.tone : "";
  const content = typeof cell === "object" && "tone" in cell ? cell.text : cell;
  return html`<td class="${number ? "number" : ""} ${tone}">${content}</td>`;
}
