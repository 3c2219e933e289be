// Completions behind fixed prefixes: a line each, with what was put in and what came of it.

import { count, el, plain } from "./dom.js";
import { address, rowName } from "./state.js";

const AT_ONCE = 200;

export function prefixesView(index, state, passes) {
  const { prefixes } = index;
  const rows = [];
  for (let row = 0; row < prefixes.rows; row++) if (passes(row)) rows.push(row);
  const body = el("tbody");
  const more = el("button", { type: "button", onclick: () => add() });
  const add = () => {
    const start = body.childElementCount;
    body.append(...rows.slice(start, start + AT_ONCE).map((row) => line(index, state, row)));
    more.textContent = `${Math.min(AT_ONCE, rows.length - body.childElementCount)} more`;
    more.hidden = body.childElementCount >= rows.length;
  };
  add();
  const titles = ["prefix of", "arm", "its step", "onset follows", "ends right", "tokens"];
  return el("section", { class: "arms prefixes", "aria-label": "Prefixes" }, el("h2", {}, "Fixed prefixes"),
    el("p", {}, "Right rows of the baseline, up to a step: as it was, or with a wrong result put in. Every arm wrote on from there; an onset follows if it comes before the next step. What was written on is not kept; the first column opens the row that the prefix is of."),
    el("p", { class: "total", role: "status" }, summed(prefixes, rows)),
    el("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "completions behind prefixes" },
      el("table", {}, el("thead", {}, el("tr", {}, ...titles.map((title) => el("th", { scope: "col" }, title)))), body)), more);
}

function summed({ columns }, rows) {
  const share = (key) => rows.filter((row) => columns[key][row] === 0).length;
  const of = (number) => `${number.toLocaleString("en")} (${rows.length ? Math.round((100 * number) / rows.length) : 0}%)`;
  return `${count(rows.length, "completion")}: an onset follows in ${of(share("follows"))}, ${of(share("ends"))} end right, ${of(rows.length - share("cut"))} were cut.`;
}

function line(index, state, row) {
  const { columns, labels } = index.prefixes;
  const own = (key) => labels[key][columns[key][row]];
  const name = `${plain(own("example"))} · ${columns.sample[row]}`;
  const base = columns.row[row];
  const href = base >= 0 && address({ ...state, view: "rows", chosen: {}, q: "", sort: "", row: rowName(index, base), onset: "", pair: "" });
  const step = own("put") === "injected" ? `${columns.step[row]} → ${columns.changed[row]}` : columns.step[row];
  const end = own("ends");
  const draw = columns.draw[row] === null ? "" : `, draw ${columns.draw[row]}`;
  return el("tr", {}, el("th", { scope: "row" }, href ? el("a", { href }, name) : name),
    el("td", {}, plain(own("arm")) + draw), el("td", {}, plain(step)),
    el("td", {}, own("follows")), el("td", {}, el("span", { class: `sign ${end}`, role: "img", "aria-label": end }, end === "right" ? "✓" : "✗")),
    el("td", {}, columns.tokens[row].toLocaleString("en") + (own("cut") === "yes" ? ", cut" : "")));
}
