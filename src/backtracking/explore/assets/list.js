// The list of rows: only those in view are in the page, however many there are.

import { count, el, plain, replace } from "./dom.js";

const HEIGHT = 58;
const AROUND = 8;
export const OUTCOMES = [["✓", "right"], ["✗", "wrong"], ["–", "no answer"], ["·", "not graded"]];
export const CUT = ["length", "loop", "error"];

export class RowList {
  constructor(index, onOpen) {
    this.index = index;
    this.rows = [];
    this.current = -1;
    this.onOpen = onOpen;
    this.inner = el("div", { class: "list-inner", role: "presentation" });
    this.element = el("div", { class: "list", role: "listbox", tabindex: 0, "aria-label": "rows", onscroll: () => this.draw(), onclick: (event) => this.click(event) }, this.inner);
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  show(rows) {
    this.rows = rows;
    this.inner.style.height = `${rows.length * HEIGHT}px`;
    this.drawn = null;
    this.draw();
  }

  select(number, { scroll = true } = {}) {
    this.current = number;
    const place = this.rows.indexOf(number);
    if (scroll && place >= 0) this.reveal(place);
    this.drawn = null;
    this.draw();
  }

  reveal(place) {
    const { scrollTop, clientHeight } = this.element;
    if (place * HEIGHT < scrollTop) this.element.scrollTop = place * HEIGHT;
    else if ((place + 1) * HEIGHT > scrollTop + clientHeight) this.element.scrollTop = (place + 1) * HEIGHT - clientHeight;
  }

  // The row so many places further on; the first one when none is open.
  neighbour(steps) {
    const place = this.rows.indexOf(this.current);
    const next = place < 0 ? (steps > 0 ? 0 : this.rows.length - 1) : place + steps;
    return this.rows[Math.max(0, Math.min(this.rows.length - 1, next))];
  }

  draw() {
    const first = Math.max(0, Math.floor(this.element.scrollTop / HEIGHT) - AROUND);
    const last = Math.min(this.rows.length, Math.ceil((this.element.scrollTop + this.element.clientHeight) / HEIGHT) + AROUND);
    if (this.drawn === `${first}-${last}`) return;
    this.drawn = `${first}-${last}`;
    const options = [];
    for (let place = first; place < last; place++) options.push(this.option(place));
    replace(this.inner, options);
    const open = this.rows.indexOf(this.current);
    if (open >= first && open < last) this.element.setAttribute("aria-activedescendant", `row-${this.current}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  option(place) {
    const number = this.rows[place];
    const { columns, labels, problems } = this.index;
    const example = columns.example[number];
    const [sign, outcome] = OUTCOMES[columns.answer[number]];
    const properties = {
      class: "row", role: "option", id: `row-${number}`, "data-row": number,
      "aria-selected": number === this.current ? "true" : "false",
      "aria-posinset": place + 1, "aria-setsize": this.rows.length,
    };
    const option = el("div", properties,
      el("span", { class: `outcome ${outcome.replace(" ", "-")}`, role: "img", "aria-label": outcome }, sign),
      el("span", { class: "row-name" }, `${plain(labels.example[example])} · ${columns.sample[number]}`),
      el("span", { class: "row-arm" }, rowArm(this.index, number)),
      el("span", { class: "row-facts" }, rowFacts(this.index, number, problems[example].gold)));
    option.style.transform = `translateY(${place * HEIGHT}px)`;
    return option;
  }

  click(event) {
    const option = event.target.closest("[data-row]");
    if (option) this.onOpen(Number(option.dataset.row));
  }
}

// The arm, with the run and the prompt format where it stands in several.
function rowArm(index, number) {
  const { columns, labels } = index;
  index.places ??= placesOfArms(index);
  const several = ["run", "variant"].filter((name) => index.places[columns.arm[number]][name].size > 1);
  return ["arm", ...several].map((name) => plain(labels[name][columns[name][number]])).join(" · ");
}

function placesOfArms({ columns, labels, rows }) {
  const places = labels.arm.map(() => ({ run: new Set(), variant: new Set() }));
  for (let row = 0; row < rows; row++) {
    for (const name of ["run", "variant"]) places[columns.arm[row]][name].add(columns[name][row]);
  }
  return places;
}

function rowFacts(index, number, gold) {
  const { columns } = index;
  const said = columns.said[number];
  const facts = [
    said === "" ? "no answer" : columns.answer[number] === 1 ? `says ${plain(said)}, gold ${plain(gold)}` : `says ${plain(said)}`,
    columns.count[number] ? count(columns.count[number], "onset") : "no onset",
    columns.tokens[number] < 0 ? null : count(columns.tokens[number], "token"),
  ];
  if (columns.wrong[number]) facts.push(count(columns.wrong[number], "wrong step"));
  if (columns.parted[number] >= 0) facts.push(`parts at ${columns.parted[number]}`);
  if (CUT.includes(index.labels.ending[columns.ending[number]])) facts.push("cut");
  return facts.filter(Boolean).join(" · ");
}
