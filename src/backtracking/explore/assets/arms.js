// One line per arm: how its rows went, each number a link to the rows behind it.

import { el, plain } from "./dom.js";
import { CUT } from "./list.js";
import { address } from "./state.js";

const WRONG = ["wrong", "unanswered"];
const turned = (row) => row.was === "marked";
const COLUMNS = [
  { title: "rows", of: () => true, link: {} },
  { title: "strict onset", of: (row) => row.strict, link: { kind: ["strict"] } },
  { title: "right", of: (row) => row.answer === "right", link: { answer: ["right"] }, among: (row) => row.answer !== "ungraded" },
  { title: "cut", of: (row) => CUT.includes(row.ending), link: { ending: CUT }, among: (row) => row.ending !== "unknown", hint: "of the rows of which it is known how they ended" },
  { title: "false alarm", of: (row) => row.falseAlarm, link: { kind: ["strict"], after: ["right"] }, hint: "a strict onset after a right step" },
  { title: "parts from baseline", of: (row) => !["never", "unpaired"].includes(row.parts), link: { parts: ["before", "at", "after", "no_onset"] }, paired: true },
  { title: "before the baseline's first onset", of: (row) => row.parts === "before", link: { parts: ["before"] }, paired: true },
  { title: "baseline turned back", of: (row) => turned(row), link: { was: ["marked"] }, paired: true, hint: "the baseline's row erred, has a strict onset and ended right" },
  { title: "then ends wrong", of: (row) => turned(row) && WRONG.includes(row.fate), link: { was: ["marked"], fate: WRONG }, paired: true, among: turned, hint: "of the rows whose baseline turned back, the arm's ends wrong or without an answer" },
  { title: "turns back no more", of: (row) => turned(row) && row.turned === "alone", link: { was: ["marked"], turned: ["alone"] }, paired: true, among: turned, hint: "of the rows whose baseline turned back, the arm's errs and no strict onset comes after" },
];

export function armsView(index, state, rows) {
  const lines = [...tally(index, rows).values()];
  const last = COLUMNS.length - 1;
  lines.sort((one, other) => share(other, last) - share(one, last));
  const head = el("tr", {}, el("th", { scope: "col" }, "arm"), ...COLUMNS.map((column) => el("th", { scope: "col", title: column.hint }, column.title)));
  return el("section", { class: "arms", "aria-label": "Arms" }, el("h2", {}, "Arms"),
    el("p", {}, "How the rows of each arm went. The first arms stop most turning back: the baseline's row erred, turned back (a strict onset) and ended right; the arm's errs and no strict onset comes after a wrong step. Such a row may still end right; how many end wrong or without an answer stands beside it. Every number opens the rows behind it; the filters apply."),
    index.rows < index.all_rows ? el("p", { class: "soft" }, `This page holds ${index.rows.toLocaleString("en")} rows, chosen of ${index.all_rows.toLocaleString("en")}; counts and shares are of those.`) : null,
    el("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "table of arms" },
      el("table", {}, el("thead", {}, head), el("tbody", {}, ...lines.map((line) => armLine(index, state, line))))));
}

function tally(index, rows) {
  const lines = new Map();
  for (const number of rows) {
    const key = ["run", "variant", "arm"].map((name) => index.columns[name][number]).join("/");
    const line = lines.get(key) ?? { number, counts: COLUMNS.map(() => 0), of: COLUMNS.map(() => 0) };
    const row = facts(index, number);
    COLUMNS.forEach((column, place) => {
      line.counts[place] += column.of(row) ? 1 : 0;
      line.of[place] += !column.among || column.among(row) ? 1 : 0;
    });
    lines.set(key, line);
  }
  return lines;
}

function facts(index, number) {
  const { columns, labels } = index;
  const bits = columns.onsets[number];
  const mask = (facet, value) => index.facet[facet].options.find((option) => option.value === value).mask;
  const row = { strict: bits & mask("kind", "strict"), falseAlarm: bits & mask("kind", "strict") & mask("after", "right") };
  for (const name of ["answer", "ending", "parts", "was", "fate", "turned"]) row[name] = labels[name][columns[name][number]];
  return row;
}

function share(line, place) {
  return line.of[place] ? line.counts[place] / line.of[place] : -1;
}

function armLine(index, state, line) {
  const names = Object.fromEntries(["run", "variant", "arm"].map((name) => [name, index.labels[name][index.columns[name][line.number]]]));
  const own = Object.fromEntries(Object.entries(names).map(([name, value]) => [name, [value]]));
  const where = [names.variant, index.labels.run.length > 1 ? names.run : ""].filter(Boolean).map(plain).join(", ");
  const isBaseline = names.arm === "baseline";
  return el("tr", {}, el("th", { scope: "row" }, plain(names.arm), el("small", {}, where)),
    ...COLUMNS.map((column, place) => el("td", {}, isBaseline && column.paired ? "" : cell(state, own, column, line, place))));
}

function cell(state, own, column, line, place) {
  if (!line.of[place]) return "—";
  const text = line.counts[place].toLocaleString("en");
  if (!line.counts[place]) return text;
  const chosen = { ...state.chosen, ...own };
  for (const [key, values] of Object.entries(column.link)) {
    chosen[key] = chosen[key] ? values.filter((value) => chosen[key].includes(value)) : values;
  }
  const of = place ? `${Math.round((100 * line.counts[place]) / line.of[place])}%` : "";
  return el("a", { href: address({ ...state, view: "rows", row: "", onset: "", pair: "", chosen }) }, text, of ? el("small", {}, of) : null);
}
