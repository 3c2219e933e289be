// One line per arm: how its rows went, each number a link to the rows behind it.

import { el, plain } from "./dom.js";
import { address } from "./state.js";

const CORRECTED = ["marked", "silent"];
const COLUMNS = [
  { title: "rows", of: () => true, link: {} },
  { title: "strict onset", of: (row) => row.strict, link: { kind: ["strict"] } },
  { title: "right", of: (row) => row.answer === "right", link: { answer: ["right"] } },
  { title: "cut", of: (row) => row.ending !== "stop", link: { ending: ["length", "loop", "error"] } },
  { title: "false alarm", of: (row) => row.falseAlarm, link: { kind: ["strict"], after: ["right"] }, hint: "a strict onset after a right step" },
  { title: "parts from baseline", of: (row) => !["never", "unpaired"].includes(row.parts), link: { parts: ["before", "at", "after", "no_onset"] }, paired: true },
  { title: "before its first onset", of: (row) => row.parts === "before", link: { parts: ["before"] }, paired: true },
  { title: "baseline corrected itself", of: (row) => CORRECTED.includes(row.was), link: { was: CORRECTED }, paired: true, hint: "the baseline's row erred and ended right" },
  { title: "correction stopped", of: (row) => stopped(row), link: { was: CORRECTED, fate: ["wrong", "unanswered"] }, paired: true, among: (row) => CORRECTED.includes(row.was), hint: "of these, the arm's row ends wrong or without an answer" },
];

function stopped(row) {
  return CORRECTED.includes(row.was) && ["wrong", "unanswered"].includes(row.fate);
}

export function armsView(index, state, rows) {
  const lines = [...tally(index, rows).values()];
  const last = COLUMNS.length - 1;
  lines.sort((one, other) => share(other, last) - share(one, last));
  const head = el("tr", {}, el("th", { scope: "col" }, "arm"), ...COLUMNS.map((column) => el("th", { scope: "col", title: column.hint }, column.title)));
  return el("section", { class: "arms", "aria-label": "Arms" }, el("h2", {}, "Arms"),
    el("p", {}, "How the rows of each arm went, those first that stop most of the baseline's corrections. Every number opens the rows behind it; the filters apply."),
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
  for (const name of ["answer", "ending", "parts", "was", "fate"]) row[name] = labels[name][columns[name][number]];
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
  const text = line.counts[place].toLocaleString("en");
  if (!line.counts[place]) return text;
  const chosen = { ...state.chosen, ...own };
  for (const [key, values] of Object.entries(column.link)) {
    chosen[key] = chosen[key] ? values.filter((value) => chosen[key].includes(value)) : values;
  }
  const of = place ? `${Math.round((100 * line.counts[place]) / line.of[place])}%` : "";
  return el("a", { href: address({ ...state, view: "rows", row: "", onset: "", pair: "", chosen }) }, text, of ? el("small", {}, of) : null);
}
