// What the address says: the view, the filter, the order, the open row.

export const VIEWS = ["rows", "arms", "prefixes"];
const OWN = ["sort", "row", "pair", "onset", "q"];

export function readAddress(hash) {
  const [view, query = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const state = { view: VIEWS.includes(view) ? view : "rows", chosen: {}, q: "", sort: "", row: "", pair: "", onset: "" };
  for (const [key, value] of new URLSearchParams(query)) {
    if (OWN.includes(key)) state[key] = value;
    else (state.chosen[key] ??= []).push(value);
  }
  return state;
}

export function address(state) {
  const parts = [];
  for (const [key, values] of Object.entries(state.chosen)) {
    for (const value of values) parts.push([key, encodeURIComponent(value)]);
  }
  for (const key of OWN) {
    // A row's name is made of parts that are encoded one by one; as a value it is not encoded again.
    if (state[key]) parts.push([key, key === "row" ? state[key].replaceAll("%", "%25") : encodeURIComponent(state[key])]);
  }
  return `#${state.view}${parts.length ? "?" : ""}${parts.map((part) => part.join("=")).join("&")}`;
}

export function rowName(index, number) {
  const texts = index.names.map((key) => index.labels[key][index.columns[key][number]]);
  return [...texts, index.columns.sample[number]].map((text) => encodeURIComponent(text)).join("/");
}
