// The keys, and what they do.

import { el } from "./dom.js";

const KEYS = [
  ["j / k", "next row, row before"],
  ["]  /  [", "next onset of the row, onset before"],
  ["/", "search in the completions"],
  ["b", "beside the baseline, or alone"],
  ["a", "arms, or rows"],
  ["← / →", "token by token, with the text in focus"],
  ["Esc", "close the row, leave the search"],
  ["?", "this list"],
];

export function helpDialog() {
  const close = el("button", { type: "button" }, "Close");
  const dialog = el("dialog", { class: "help", "aria-labelledby": "help-title" },
    el("h2", { id: "help-title" }, "Keys"),
    el("dl", {}, ...KEYS.map(([keys, what]) => el("div", {}, el("dt", {}, el("kbd", {}, keys)), el("dd", {}, what)))),
    el("p", {}, "The address holds the filter, the order and the open row: copy it to come back here."),
    close);
  close.addEventListener("click", () => dialog.close());
  return dialog;
}
