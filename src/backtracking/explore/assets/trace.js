// The pane of one row: its problem, its text with everything found in it, and what is known of a token.

import { count, el, plain, replace, shown } from "./dom.js";
import { evidence } from "./evidence.js";
import { OUTCOMES } from "./list.js";
import { pairView } from "./pair.js";
import { address, rowName } from "./state.js";
import { Rendering, afterWords, entropyAt, probability, tokenText } from "./tokens.js";

const ENDINGS = { stop: "ended by itself", length: "cut", loop: "ended in a loop", error: "failed", unknown: "not known how" };
const VERDICTS = new Map([[true, "right"], [false, "wrong"], [null, "not graded"]]);

export class TracePane {
  constructor(index, actions) {
    this.index = index;
    this.actions = actions;
    this.info = el("p", { class: "token-info", role: "status", "aria-label": "token" }, "Point at a token for its id and probability.");
    this.body = el("div", { class: "trace-body" });
    this.element = el("article", { class: "trace", "aria-label": "row", tabindex: -1 }, this.body);
    this.body.addEventListener("pointerover", (event) => this.pointed(event));
    this.body.addEventListener("click", (event) => this.clicked(event));
    this.body.addEventListener("keydown", (event) => this.moved(event));
  }

  clear(text) {
    this.rows = null;
    replace(this.body, el("p", { class: "wait" }, text));
  }

  // A row by itself, or with its baseline's row beside it.
  show(row, baseline, state) {
    this.rows = { own: row, baseline };
    this.renderings = { own: new Rendering(row), baseline: baseline && new Rendering(baseline) };
    const pair = baseline && row.pair;
    replace(this.body, this.head(row, state),
      pair ? pairView(row, baseline, this.renderings) : this.single(row),
      this.info, el("div", { class: "onset-place" }));
    this.choose(state.onset);
  }

  head(row, state) {
    const { index } = this;
    const [run, variant, arm, example, sample] = row.name;
    const problem = index.problems[index.columns.example[row.number]];
    const { answer } = row;
    const graded = answer.text === null ? `no answer (${answer.rule})` : `${VERDICTS.get(answer.right)}: “${plain(answer.text)}” by rule ${answer.rule}`;
    const facts = [
      ["answer", graded], ["gold", plain(answer.gold) || "none"],
      ["ending", `${row.tokens ? count(row.tokens.ids.length, "token") + ", " : ""}${ENDINGS[row.finish]}`],
      ["arm", `${plain(arm)}${row.draw === null ? "" : `, draw ${row.draw}`}`], ["prompt format", variant],
    ];
    if (index.labels.run.length > 1) facts.push(["run", run]);
    return el("header", { class: "trace-head" },
      el("button", { type: "button", class: "back", onclick: () => this.actions.close() }, "← Rows"),
      el("h2", {}, `${plain(example)} · sample ${sample}`),
      el("p", { class: "question" }, ...shown(problem.question)),
      el("dl", { class: "facts" }, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
      this.samples(row, state), this.partners(row, state));
  }

  // All samples of the problem under this arm, each with how it ended.
  samples(row, state) {
    const { index } = this;
    const { sample: samples } = index.columns;
    const same = this.rowsLike(row, ["run", "variant", "example", "arm"]).sort((one, other) => samples[one] - samples[other]);
    const link = (other) => {
      const [sign, outcome] = OUTCOMES[index.columns.answer[other]];
      const sample = samples[other];
      const href = address({ ...state, row: rowName(index, other), onset: "" });
      return el("a", { href, "aria-current": other === row.number ? "true" : null, "aria-label": `sample ${sample}, ${outcome}` }, `${sample} ${sign}`);
    };
    return el("nav", { class: "samples", "aria-label": "samples of this problem" }, "Samples", ...same.map(link));
  }

  // The numbers of the rows that share these names with a row.
  rowsLike(row, names) {
    const columns = names.map((name) => this.index.columns[name]);
    const own = columns.map((column) => column[row.number]);
    const found = [];
    for (let other = 0; other < this.index.rows; other++) {
      if (columns.every((column, place) => column[other] === own[place])) found.push(other);
    }
    return found;
  }

  // The same problem and sample under the other arms, side by side with the baseline at a click.
  partners(row, state) {
    const { index } = this;
    const options = this.rowsLike(row, ["run", "variant", "example", "sample"]).map((other) =>
      el("option", { value: other, selected: other === row.number }, plain(index.labels.arm[index.columns.arm[other]])));
    const select = el("select", { id: "arm-of-row", onchange: () => this.actions.open(Number(select.value), state.pair || row.pair === null) }, ...options);
    const hasPair = row.pair !== null;
    const toggle = hasPair && el("button", { type: "button", id: "toggle-pair", "aria-pressed": state.pair ? "true" : "false", onclick: () => this.actions.pair(!state.pair) }, "beside the baseline");
    return el("p", { class: "partners" }, el("label", { for: "arm-of-row" }, "This sample under "), select, " ", toggle || null);
  }

  single(row) {
    return el("div", { class: "single" }, el("details", {}, el("summary", {}, "Prompt"), el("pre", { class: "text prompt", dir: "auto" }, ...shown(row.prompt))),
      legend(row),
      el("pre", { class: "text", tabindex: 0, role: "group", "aria-label": "completion", dir: "auto", "data-side": "own" }, ...this.renderings.own.part()));
  }

  pointed(event) {
    const span = event.target.closest?.(".token[data-token]");
    if (span) this.tell(span);
  }

  tell(span) {
    const row = this.rows[span.closest("[data-side]")?.dataset.side ?? "own"];
    const token = Number(span.dataset.token);
    if (token < 0) return;
    for (const other of this.body.querySelectorAll(".token.pointed")) other.classList.remove("pointed");
    span.classList.add("pointed");
    const chance = probability(row, token);
    const entropy = entropyAt(row, token);
    const parts = [`token ${token}`, `id ${row.tokens.ids[token]}`, `“${plain(tokenText(row, token)).replaceAll("\n", "↵")}”`,
      chance === null ? "probability not stored" : `p = ${chance.toPrecision(3)}`];
    if (entropy !== null) parts.push(`entropy ${entropy.toPrecision(3)} nats`);
    this.info.textContent = parts.join(" · ");
  }

  // With the text focused, the arrows go from token to token.
  moved(event) {
    const text = event.target.closest?.("[data-side]");
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!text || !step || event.target !== text) return;
    event.preventDefault();
    const spans = [...text.querySelectorAll(".token[data-token]")];
    const place = spans.findIndex((span) => span.classList.contains("pointed"));
    const next = spans[Math.max(0, Math.min(spans.length - 1, place + step))];
    if (next) this.tell(next);
    next?.scrollIntoView({ block: "nearest" });
  }

  clicked(event) {
    const tag = event.target.closest("[data-onset]");
    if (tag) this.actions.onset(tag.dataset.onset);
  }

  get stops() {
    return this.rows ? this.renderings.own.stops : [];
  }

  // Show what is known of an onset; the row's own one in both views.
  choose(onset) {
    const place = this.body.querySelector(".onset-place");
    for (const tag of this.body.querySelectorAll(".onset-tag")) tag.removeAttribute("aria-current");
    const stop = onset === "" ? null : this.stops[Number(onset)];
    if (!stop) return replace(place);
    const side = this.body.querySelector('[data-side="own"]')?.closest(".pair") ?? this.body;
    for (const tag of side.querySelectorAll(`[data-onset="${Number(onset)}"]`)) {
      const of = tag.closest("[data-side]")?.dataset.side ?? "own";
      if (of === "baseline") continue;
      tag.setAttribute("aria-current", "true");
      tag.scrollIntoView({ block: "nearest" });
    }
    return replace(place, this.onset(stop, Number(onset)));
  }

  onset(stop, number) {
    const [first] = stop.onsets;
    return el("section", { class: "onset", "aria-label": "onset" },
      el("h3", {}, `Onset ${number + 1} of ${this.stops.length}: “${plain(first.phrase)}”`),
      el("p", {}, `${stop.onsets.map((onset) => onset.kind).join(" and ")}, ${afterWords(first)}${first.before ? ` (${plain(first.before)})` : ""}${first.token < 0 ? "" : `; token ${first.token}`}.`),
      ...evidence(first, this.index.patching), this.actions.others(stop));
  }
}

function legend(row) {
  const kinds = [...new Set(row.onsets.map((onset) => onset.kind))];
  const items = kinds.map((kind) => el("span", { class: `token ${kind}` }, kind));
  if (row.steps.length) items.push(el("span", { class: "token step-right" }, "right step"), el("span", { class: "token step-wrong" }, "wrong step"));
  if (row.answer.start >= 0) items.push(el("span", { class: "token graded" }, "graded"));
  return items.length ? el("p", { class: "legend", "aria-label": "marks" }, ...items.flatMap((item) => [item, " "])) : null;
}
