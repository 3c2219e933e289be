// A stretch of a completion as spans of tokens, with what was found in it marked.

import { el, shown } from "./dom.js";

const MARKS = ["step-right", "step-wrong", "graded", "closing", "dim", "parting"];

export class Rendering {
  constructor(row) {
    this.row = row;
    this.names = [...new Set(row.onsets.map((onset) => onset.kind)), ...MARKS];
    this.flags = new Uint16Array(row.text.length + 1);
    this.notes = new Map();
    this.markSteps();
    this.markOnsets();
    if (row.close) this.mark("closing", ...row.close);
    if (row.answer.start >= 0) this.mark("graded", row.answer.start, row.answer.end);
  }

  mark(name, start, end) {
    const flag = 1 << this.names.indexOf(name);
    for (let place = start; place < end; place++) this.flags[place] |= flag;
  }

  put(place, node, atEnd = false) {
    const key = `${place}${atEnd ? "end" : ""}`;
    this.notes.set(key, [...(this.notes.get(key) ?? []), node]);
  }

  markSteps() {
    for (const step of this.row.steps) {
      this.mark(step.right ? "step-right" : "step-wrong", step.start, step.end);
      const said = step.right ? "right" : `wrong: it is ${step.expected}`;
      const sign = el("span", { class: `sign ${step.right ? "right" : "wrong"}`, title: said, role: "img", "aria-label": said });
      sign.append(step.right ? "✓" : "✗");
      this.put(step.end, sign, true);
    }
  }

  markOnsets() {
    this.stops = onsetStops(this.row);
    for (const [number, stop] of this.stops.entries()) {
      for (const onset of stop.onsets) this.mark(onset.kind, onset.start, onset.end);
      const kinds = stop.onsets.map((onset) => onset.kind).join(" + ");
      const label = `onset ${number + 1} of ${this.stops.length}: ${stop.onsets[0].phrase}, ${kinds}, ${afterWords(stop.onsets[0])}`;
      this.put(stop.start, el("button", { class: `onset-tag ${stop.onsets[0].kind}`, type: "button", "data-onset": number, "aria-label": label, title: label }, kinds));
    }
  }

  // The text from one place to another; every token is a span of its own, or more where marks begin in it.
  part(from = 0, to = this.row.text.length) {
    const { text, tokens } = this.row;
    const owner = tokens ? owners(tokens, text.length) : null;
    const nodes = [];
    let begin = from;
    const flush = (end) => {
      if (end > begin) nodes.push(this.span(text.slice(begin, end), begin, owner));
      begin = end;
    };
    for (let place = from; place <= to; place++) {
      const changed = place > from && (this.flags[place] !== this.flags[place - 1] || (owner && owner[place] !== owner[place - 1]));
      const before = place < to ? this.notes.get(`${place}`) : null;
      const after = place > from ? this.notes.get(`${place}end`) : null;
      if (changed || before || after) flush(place);
      if (after) nodes.push(...after);
      if (before) nodes.push(...before);
    }
    flush(to);
    return nodes;
  }

  span(text, place, owner) {
    const classes = ["token", ...this.names.filter((_, bit) => this.flags[place] & (1 << bit))];
    return el("span", { class: classes.join(" "), "data-token": owner ? owner[place] : null }, ...shown(text));
  }
}

// For every place the token that it belongs to; of several that share a character, the first.
function owners(tokens, length) {
  const owner = new Int32Array(length + 1).fill(-1);
  for (let token = tokens.ids.length - 1; token >= 0; token--) owner.fill(token, tokens.starts[token], tokens.ends[token]);
  return owner;
}

// Onsets that begin at one place are one stop.
export function onsetStops(row) {
  const stops = new Map();
  for (const [number, onset] of row.onsets.entries()) {
    const stop = stops.get(onset.start) ?? { start: onset.start, onsets: [], numbers: [] };
    stop.onsets.push(onset);
    stop.numbers.push(number);
    stops.set(onset.start, stop);
  }
  return [...stops.values()].sort((one, other) => one.start - other.start);
}

export function afterWords(onset) {
  if (onset.region === "answer") return "in the answer";
  if (onset.after_error === null) return "after no step that can be checked";
  return onset.after_error ? "after a wrong step" : "after a right step: a false alarm";
}

export function tokenText(row, token) {
  if (token >= row.tokens.ids.length) return "";
  return row.text.slice(row.tokens.starts[token], row.tokens.ends[token]);
}

export function probability(row, token) {
  const stored = row.tokens?.logprobs;
  return stored && token < stored.length ? Math.exp(stored[token]) : null;
}

// The entropy of the choice of a token, where it was stored, or where the onset step read it.
export function entropyAt(row, token) {
  const stored = row.tokens?.entropies;
  if (stored && token < stored.length) return stored[token];
  const onset = row.onsets.find((one) => one.token === token && one.reading?.step);
  return onset ? onset.reading.step[0].entropy_before : null;
}
