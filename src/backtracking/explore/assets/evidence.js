// What the analyses read at one onset: the scan, the lens through the layers, the onset step, stability, patching.

import { count, el, plain, svg } from "./dom.js";

const MOST = 8;
const CURVES = { onset: "this onset", matched_row: "its matched control", same_row_earlier: "earlier in the same row" };

export function evidence(onset, patching) {
  const { reading } = onset;
  if (!reading) return [el("p", { class: "soft" }, "No analysis looked into this onset.")];
  return [
    reading.scan ? part("Which component acts here", scan(reading.scan, reading.scan_by_mode ?? []))
      : el("p", { class: "soft" }, "The scan of components did not draw this onset."),
    reading.lens && part("Through the layers", lens(reading.lens)),
    reading.step && part("The onset step under interventions", step(reading.step)),
    reading.stability && part("The same prefix sampled again", stability(reading.stability)),
    patching.length && part("Which components carry an error's signal", patched(patching)),
  ].filter(Boolean);
}

function part(title, content) {
  return el("section", { class: "evidence", "aria-label": title }, el("h4", {}, title), ...content);
}

export function number(value, digits = 2) {
  return value === null ? "–" : value.toFixed(digits).replace("-", "−");
}

function scan(changes, otherModes) {
  const [first] = changes;
  const listed = [...changes].sort((one, other) => Math.abs(other.delta_log_odds) - Math.abs(one.delta_log_odds)).slice(0, MOST);
  const most = Math.abs(listed[0].delta_log_odds) || 1;
  const line = (change) => el("tr", {}, el("th", { scope: "row" }, `${change.component} ${change.layer}`),
    el("td", {}, number(change.delta_log_odds)), el("td", { class: "bar-cell" }, bar(change.delta_log_odds / most)),
    el("td", {}, number(change.delta_logit)), el("td", {}, number(change.kl_onset, 3)));
  return [
    el("p", {}, `Removing ${first.component} ${first.layer} (${first.mode}) takes most from this onset: ${number(first.delta_log_odds)} of the log-odds of its family.`),
    ...otherModes.map((other) => el("p", {}, `Removed by ${other.mode} instead, ${other.component} ${other.layer} takes most: ${number(other.delta_log_odds)}.`)),
    table(["component", "log-odds", "", "logit", "KL"], listed.map(line), `${listed.length} of ${changes.length} components, by size of the change`),
  ];
}

function bar(share) {
  const width = Math.abs(share) * 58;
  return svg("svg", { class: "bar-chart", viewBox: "0 0 120 10", "aria-hidden": "true" },
    svg("line", { x1: 60, x2: 60, y1: 0, y2: 10 }),
    svg("rect", { class: share < 0 ? "takes" : "adds", x: share < 0 ? 60 - width : 60, y: 1.5, width, height: 7 }));
}

function table(titles, lines, caption) {
  return el("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": caption },
    el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, ...titles.map((title) => title ? el("th", { scope: "col" }, title) : el("td", { class: "bar-cell" })))), el("tbody", {}, ...lines)));
}

// Log-probability of the onset token after each layer, here and at the controls.
function lens(curves) {
  const kinds = Object.keys(CURVES).filter((kind) => curves[kind]);
  const all = kinds.flatMap((kind) => curves[kind]);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const layers = curves[kinds[0]].length;
  const x = (layer) => 46 + (layer * 290) / Math.max(1, layers - 1);
  const y = (value) => 10 + ((high - value) * 120) / (high - low || 1);
  const chart = svg("svg", { class: "lens", viewBox: "0 0 480 160", role: "img", "aria-label": told(curves, kinds) },
    svg("line", { class: "axis", x1: 46, x2: 336, y1: 134, y2: 134 }),
    ...[0, layers - 1].map((layer) => svg("text", { x: x(layer), y: 148, "text-anchor": "middle" }, `layer ${layer}`)),
    ...[high, low].map((value) => svg("text", { x: 42, y: y(value) + 4, "text-anchor": "end" }, number(value, 1))),
    ...kinds.map((kind) => svg("polyline", { class: `curve ${kind}`, points: curves[kind].map((value, layer) => `${x(layer)},${y(value)}`).join(" ") })),
    ...ends(curves, kinds, y).map(([kind, place]) => svg("text", { class: `label ${kind}`, x: 342, y: place + 4 }, CURVES[kind])));
  return [chart, el("p", { class: "soft" }, "Log-probability of the onset token, read after each layer.")];
}

// Labels at the ends of the curves, moved apart where they would lie on one another.
function ends(curves, kinds, y) {
  const placed = kinds.map((kind) => [kind, y(curves[kind].at(-1))]).sort((one, other) => one[1] - other[1]);
  for (let place = 1; place < placed.length; place++) placed[place][1] = Math.max(placed[place][1], placed[place - 1][1] + 15);
  return placed;
}

function told(curves, kinds) {
  return kinds.map((kind) => `${CURVES[kind]}: from ${number(curves[kind][0], 1)} to ${number(curves[kind].at(-1), 1)}`).join("; ");
}

function step(rows) {
  const line = (row) => el("tr", {}, el("th", { scope: "row" }, `${plain(row.subset_name)} × ${row.scale}`),
    el("td", {}, row.onset_prob_before.toPrecision(3)), el("td", {}, row.onset_prob.toPrecision(3)),
    el("td", {}, number(row.entropy_before)), el("td", {}, number(row.entropy)), el("td", {}, number(row.kl, 3)));
  return [table(["components × scale", "p before", "p after", "entropy before", "entropy after", "KL"], rows.map(line), "probability of the onset token, when only this step is changed")];
}

function stability({ continuations, with_onset, at_once, greedy_onset }) {
  const greedy = greedy_onset === null ? "" : ` The greedy continuation has ${greedy_onset ? "one" : "none"}.`;
  return [el("p", {}, `Of ${count(continuations, "continuation")} from right before it, ${with_onset} had an onset nearby, ${at_once} at this very token.${greedy}`)];
}

function patched(rows) {
  const line = (row) => el("tr", {}, el("th", { scope: "row" }, `${row.component} ${row.layer}`), el("td", {}, row.positions),
    el("td", {}, `${number(row.share)} [${number(row.share_low)}, ${number(row.share_high)}]`));
  return [
    el("p", { class: "soft" }, `Over ${rows[0].n_pairs} pairs of a right and a wrong prefix, not this onset alone: the share of the gap that one component's output moves.`),
    table(["component", "positions", "share [95%]"], rows.map(line), "strongest components, wrong put into right"),
  ];
}
