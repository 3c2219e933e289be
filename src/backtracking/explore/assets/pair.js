// An arm's row beside the baseline's on the same noise, statement by statement.

import { el, plain } from "./dom.js";
import { probability, tokenText } from "./tokens.js";

export function pairView(row, baseline, renderings) {
  const { pair } = row;
  if (pair.step !== null) {
    markParting(renderings.baseline, pair.baseline_at, baseline, pair.step);
    markParting(renderings.own, pair.arm_at, row, pair.step);
  }
  const arm = plain(row.name[2]);
  return el("section", { class: "pair", "aria-label": `baseline beside ${arm}` },
    parting(row, baseline, pair),
    el("div", { class: "pair-grid" },
      el("div", { class: "pair-names", "aria-hidden": "true" }, el("span", {}, "baseline"), el("span", {}, arm)),
      ...pair.lines.map((line) => lineView(line, renderings, arm))));
}

function markParting(rendering, place, row, step) {
  const end = row.tokens && step < row.tokens.ids.length ? row.tokens.ends[step] : place;
  rendering.mark("parting", place, end);
  rendering.mark("dim", 0, place);
  rendering.put(place, el("span", { class: "parts-here", role: "img", "aria-label": "the texts part here" }, "◆"));
}

function parting(row, baseline, pair) {
  if (pair.step === null) return el("p", { class: "parting-card" }, "Both rows are the same from beginning to end.");
  return el("div", { class: "parting-card" },
    el("p", {}, el("strong", {}, `They part at token ${pair.step}.`), " Up to there every token is the same."),
    pair.chances ? chanceTable(pair.chances, row, baseline)
      : el("dl", { class: "facts" }, tokenFact("baseline", baseline, pair.step), tokenFact(plain(row.name[2]), row, pair.step)));
}

// Both tokens under both, as the teacher-forced pass read them.
function chanceTable(read, row, baseline) {
  const { step } = row.pair;
  const arm = plain(row.name[2]);
  const share = (value) => el("td", {}, value === null ? "–" : value.toPrecision(3));
  const line = (side, under, underArm) => el("tr", {}, el("th", { scope: "row" }, tokenSaid(side, step)), share(under), share(underArm));
  return el("table", { class: "chances" }, el("caption", {}, "how likely each token was here"),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "token"), el("th", { scope: "col" }, "baseline"), el("th", { scope: "col" }, arm))),
    el("tbody", {}, line(baseline, read.old_prob, read.old_prob_arm), line(row, read.new_prob, read.new_prob_arm)));
}

function tokenSaid(row, step) {
  if (!row.tokens || step >= row.tokens.ids.length) return "nothing: it has ended";
  const text = plain(tokenText(row, step)).replaceAll("\n", "↵");
  return `${text ? `“${text}”` : "end of the text"} (id ${row.tokens.ids[step]})`;
}

function tokenFact(name, row, step) {
  const chance = probability(row, step);
  const stored = chance === null ? "probability not stored" : `p = ${chance.toPrecision(3)}`;
  return el("div", {}, el("dt", {}, name), el("dd", {}, `${tokenSaid(row, step)}, ${stored}`));
}

function lineView(line, renderings, arm) {
  const note = line.note ? el("p", { class: `taken ${line.kind}` }, line.note) : null;
  if (line.shared) {
    return el("div", { class: "pair-line shared" }, side("own", "in both", renderings.own, line.arm), note);
  }
  return el("div", { class: "pair-line" }, side("baseline", "baseline", renderings.baseline, line.baseline), side("own", arm, renderings.own, line.arm), note);
}

function side(name, label, rendering, span) {
  if (!span) return el("div", { class: "pair-side empty" }, el("span", { class: "side-name" }, `${label}: nothing here`));
  return el("div", { class: "pair-side" }, el("span", { class: "side-name" }, label),
    el("pre", { class: "text", tabindex: 0, role: "group", "aria-label": label, dir: "auto", "data-side": name }, ...rendering.part(...span)));
}
