// The explorer: one state, read from the address; every change goes through the address.

import { armsView } from "./arms.js";
import { count, el, plain, replace } from "./dom.js";
import { filter, order, prepare } from "./filters.js";
import { helpDialog } from "./help.js";
import { RowList } from "./list.js";
import { othersLike } from "./others.js";
import { FilterPanel } from "./panel.js";
import { prefixesView } from "./prefixes.js";
import { openSource } from "./source.js";
import { VIEWS, address, readAddress, rowName } from "./state.js";
import { TracePane } from "./trace.js";

class Explorer {
  constructor(source) {
    this.source = source;
    this.index = prepare(source.index);
    prepare(this.index.prefixes);
    this.panel = new FilterPanel(this.index, (change) => this.changed(change));
    this.prefixPanel = new FilterPanel(this.index.prefixes, (change) => this.changed(change), "prefix-");
    this.list = new RowList(this.index, (number) => this.open(number));
    this.trace = new TracePane(this.index, {
      open: (number, pair) => this.open(number, pair),
      close: () => this.go({ row: "", onset: "", pair: "" }),
      pair: (on) => this.go({ pair: on ? "1" : "" }),
      onset: (number) => this.go({ onset: String(number) }, { quietly: true }),
      others: (stop) => othersLike(this.index, stop, this.state),
    });
    this.total = el("p", { class: "total", role: "status" });
    this.reset = el("a", { class: "reset", href: "#rows" }, "clear filters");
    this.help = helpDialog();
    this.having = null;
    this.build();
  }

  build() {
    const { index } = this;
    document.title = `${plain(index.title)} · traces`;
    const narrow = matchMedia("(max-width: 899px)");
    this.drawer = el("details", { class: "drawer", open: !narrow.matches }, el("summary", {}, "Filters"), this.panel.element, this.prefixPanel.element);
    const views = VIEWS.filter((view) => view !== "prefixes" || index.prefixes.rows);
    this.tabs = views.map((view) => el("a", { class: "tab", "data-view": view }, view[0].toUpperCase() + view.slice(1)));
    this.main = el("main", { class: "main", id: "main" });
    this.side = el("div", { class: "side" },
      el("div", { class: "bar" }, this.panel.search, this.panel.sort),
      el("div", { class: "bar totals" }, this.total, this.reset),
      this.list.element);
    const app = document.getElementById("app");
    replace(app,
      el("header", { class: "top" }, el("h1", {}, plain(index.title)), el("nav", { "aria-label": "views" }, ...this.tabs),
        el("button", { type: "button", class: "keys", "aria-label": "keys", onclick: () => this.help.showModal() }, "?")),
      this.drawer, this.side, this.main, this.help);
    app.removeAttribute("aria-busy");
    narrow.addEventListener("change", () => { this.drawer.open = !narrow.matches; });
    addEventListener("hashchange", () => this.show());
    addEventListener("keydown", (event) => this.key(event));
  }

  // Change a part of what the address says, which may be ahead of what is shown; the page follows.
  go(change, { quietly = false } = {}) {
    const next = address({ ...readAddress(location.hash), ...change });
    if (quietly) {
      history.replaceState(null, "", next);
      this.show();
    } else if (location.hash !== next) location.hash = next;
  }

  changed({ facet, values, ...rest }) {
    const { chosen } = readAddress(location.hash);
    if (facet) chosen[facet] = values;
    if (facet && !values.length) delete chosen[facet];
    this.go({ chosen, ...rest }, { quietly: true });
  }

  open(number, pair = this.state.pair) {
    if (number === undefined) return;
    this.go({ view: "rows", row: rowName(this.index, number), onset: "", pair: pair ? "1" : "" }, { quietly: Boolean(this.state.row) });
  }

  async show() {
    this.state = readAddress(location.hash);
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const { q } = this.state;
    if (q !== this.searched) {
      const having = q ? await this.source.having(q) : null;
      if (turn !== this.turn) return;
      this.having = having;
      this.searched = q;
    }
    this.showRows();
    await this.showRow(turn);
    if (turn === this.turn) document.body.dataset.shown = location.hash;
  }

  showRows() {
    const { index, state } = this;
    const { passes, counts } = filter(index, state.chosen, this.having);
    const rows = order(index, state.sort).filter(passes);
    this.panel.show(state, counts);
    if (rows.length !== this.list.rows.length || rows.some((row, place) => row !== this.list.rows[place])) this.list.show(rows);
    const sample = index.rows < index.all_rows ? `, chosen of ${index.all_rows.toLocaleString("en")}` : "";
    this.total.textContent = rows.length === index.rows ? count(rows.length, "row") + sample : `${rows.length.toLocaleString("en")} of ${count(index.rows, "row")}${sample}`;
    this.reset.hidden = !Object.keys(state.chosen).length && !state.q;
    const ofPrefixes = state.view === "prefixes";
    this.panel.element.hidden = ofPrefixes;
    this.prefixPanel.element.hidden = !ofPrefixes;
    for (const tab of this.tabs) {
      tab.setAttribute("href", address({ ...state, view: tab.dataset.view, row: "", onset: "", pair: "" }));
      tab.toggleAttribute("aria-current", tab.dataset.view === state.view);
    }
    document.body.dataset.view = state.view;
    document.body.toggleAttribute("data-row-open", Boolean(state.row));
    this.rows = rows;
  }

  async showRow(turn) {
    const { state } = this;
    if (state.view === "prefixes") return this.showPrefixes();
    if (state.view === "arms") return replace(this.main, armsView(this.index, state, this.rows));
    if (this.main.firstChild !== this.trace.element) replace(this.main, this.trace.element);
    const number = state.row ? this.numberOf(state.row) : -1;
    this.list.select(number);
    if (number < 0) {
      this.shownRow = null;
      return this.trace.clear(state.row ? "This row is not here." : "Choose a row, or press j.");
    }
    const wanted = `${number}${state.pair}`;
    if (this.shownRow === wanted) return this.trace.choose(state.onset);
    try {
      const row = await this.source.row(number);
      const partner = this.index.columns.baseline[number];
      const baseline = state.pair && row.pair ? await this.source.row(partner) : null;
      if (turn !== this.turn) return;
      this.shownRow = wanted;
      this.trace.show(row, baseline, state);
    } catch (error) {
      this.trace.clear(error.message);
    }
  }

  showPrefixes() {
    const { passes, counts } = filter(this.index.prefixes, this.state.chosen, null);
    this.prefixPanel.show(this.state, counts);
    replace(this.main, prefixesView(this.index, this.state, passes));
  }

  numberOf(name) {
    if (!this.numbers) {
      this.numbers = new Map();
      for (let number = 0; number < this.index.rows; number++) this.numbers.set(rowName(this.index, number), number);
    }
    return this.numbers.get(name) ?? -1;
  }

  key(event) {
    if (event.key === "Escape") return this.escape();
    const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName) && event.target.type !== "checkbox";
    if (typing || event.ctrlKey || event.metaKey || event.altKey || this.help.open) return;
    const act = {
      j: () => this.open(this.list.neighbour(1)),
      k: () => this.open(this.list.neighbour(-1)),
      "]": () => this.turnTo(1),
      "[": () => this.turnTo(-1),
      "/": () => this.find(),
      b: () => this.state.row && this.go({ pair: this.state.pair ? "" : "1" }, { quietly: true }),
      a: () => this.go({ view: this.state.view === "arms" ? "rows" : "arms" }),
      "?": () => this.help.showModal(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  turnTo(steps) {
    const places = this.askedStops();
    if (!places.length) return;
    const now = this.state.onset === "" ? (steps > 0 ? -1 : Infinity) : Number(this.state.onset);
    const next = steps > 0 ? places.find((place) => place > now) ?? places.at(-1) : places.findLast((place) => place < now) ?? places[0];
    this.go({ onset: String(next) }, { quietly: true });
  }

  // The places of the onsets that the filters ask for; of all where none is.
  askedStops() {
    const { stops } = this.trace;
    const { chosen } = this.state;
    const asked = (key, value) => !chosen[key]?.length || chosen[key].includes(value);
    const after = (onset) => (onset.after_error === null ? "none" : onset.after_error ? "wrong" : "right");
    const same = (onset) => ["kind", "region", "phrase", "component", "before", "shape"].every((key) => asked(key, onset[key]));
    const read = (onset) => !chosen.studied?.length || chosen.studied.includes(onset.reading?.scan ? "scan" : onset.reading ? "yes" : "no");
    const meets = (onset) => same(onset) && asked("after", after(onset)) && read(onset);
    const all = stops.map((_, place) => place);
    const met = all.filter((place) => stops[place].onsets.some(meets));
    return met.length ? met : all;
  }

  find() {
    if (document.body.hasAttribute("data-row-open") && matchMedia("(max-width: 899px)").matches) this.go({ row: "" });
    this.panel.search.focus();
    this.panel.search.select();
  }

  escape() {
    if (this.help.open) return;
    if (document.activeElement === this.panel.search) this.list.element.focus();
    else if (this.state.row) this.go({ row: "", onset: "", pair: "" });
  }
}

async function start() {
  try {
    const explorer = new Explorer(await openSource());
    await explorer.show();
  } catch (error) {
    replace(document.getElementById("app"), el("p", { class: "wait", role: "alert" }, `The explorer could not start: ${error.message}`));
    throw error;
  }
}

start();
