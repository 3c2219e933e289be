// The filters: facets with counts, a text, an order.

import { el, plain, replace } from "./dom.js";
import { SORTS } from "./filters.js";

const FEW = 8;
const PAUSE = 20;

export class FilterPanel {
  // `prefix` begins the ids of its controls, where a page holds another panel.
  constructor(index, change, prefix = "") {
    this.prefix = prefix;
    this.index = index;
    this.change = change;
    this.unfolded = new Set();
    this.search = el("input", { type: "search", id: `${prefix}search`, placeholder: "Find text", "aria-label": "Text in a completion", autocomplete: "off", spellcheck: "false", oninput: () => this.typed() });
    this.sort = el("select", { id: `${prefix}sort`, "aria-label": "Order of rows", onchange: () => change({ sort: this.sort.value }) },
      ...Object.entries(SORTS).map(([key, { label }]) => el("option", { value: key }, label)));
    this.facets = el("div", { class: "facets" });
    this.element = el("div", { class: "filters" }, this.facets);
  }

  typed() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.change({ q: this.search.value }), PAUSE);
  }

  show(state, counts) {
    if (document.activeElement !== this.search) this.search.value = state.q;
    this.sort.value = SORTS[state.sort] ? state.sort : "";
    const focused = document.activeElement?.id;
    replace(this.facets, this.index.facets
      .filter((facet) => (facet.shown && facet.options.length > 1) || state.chosen[facet.key])
      .map((facet) => this.facet(facet, state, counts[facet.key])));
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  facet(facet, state, counts) {
    const chosen = state.chosen[facet.key] ?? [];
    const all = facet.options.map((option, place) => ({ ...option, rows: counts[place], on: chosen.includes(option.value) }));
    const listed = all.filter((option) => option.on || (facet.shown && option.rows > 0));
    const folded = listed.length > FEW && !this.unfolded.has(facet.key);
    const visible = folded ? listed.filter((option, place) => option.on || place < FEW - 1) : listed;
    const more = folded && el("button", { type: "button", class: "more", id: `${this.prefix}more-${facet.key}`, onclick: () => this.unfold(facet.key, state, counts) }, `${listed.length - visible.length} more`);
    return el("fieldset", { class: "facet" }, el("legend", {}, facet.title),
      ...visible.map((option) => this.option(facet, option, chosen)), more || null);
  }

  option(facet, option, chosen) {
    const id = `${this.prefix}${facet.key}-${option.value}`;
    const toggle = () => {
      const next = option.on ? chosen.filter((value) => value !== option.value) : [...chosen, option.value];
      this.change({ facet: facet.key, values: next });
    };
    return el("label", { class: "option" },
      el("input", { type: "checkbox", id, checked: option.on, onchange: toggle }),
      el("span", { class: "option-label" }, plain(option.label)),
      el("span", { class: "option-count" }, option.rows.toLocaleString("en")));
  }

  unfold(key) {
    this.unfolded.add(key);
    this.change({});
  }
}
