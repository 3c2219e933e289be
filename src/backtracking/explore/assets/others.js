// "Show me others like this": links to the rows with an onset like the one that is open.

import { count, el, plain } from "./dom.js";
import { filter } from "./filters.js";
import { address } from "./state.js";

export function othersLike(index, stop, state) {
  const [onset] = stop.onsets;
  const kinds = [
    ["with the same phrase", "phrase", onset.phrase],
    ["with an onset right after the same step", "before", onset.before],
    ["with an onset after a step of this kind", "shape", onset.shape],
    ["with an onset most moved by the same component", "component", onset.component],
  ];
  const links = kinds.map(([what, key, value]) => like(index, state, what, key, value)).filter(Boolean);
  return links.length ? el("div", { class: "others" }, el("h4", {}, "Others like this"), el("ul", {}, ...links)) : null;
}

function like(index, state, what, key, value) {
  if (!value || !index.labels[key]?.includes(value)) return null;
  const chosen = { [key]: [value] };
  const { passes } = filter(index, chosen, null);
  let rows = 0;
  for (let row = 0; row < index.rows; row++) rows += passes(row);
  const href = address({ ...state, chosen, q: "", onset: "" });
  return el("li", {}, el("a", { href }, `${count(rows, "row")} ${what}`), ` (${plain(value)})`);
}
