// Which rows pass, and how many each option would leave. The same rules stand in queries.py.

export function prepare(index) {
  index.labels = {};
  index.facet = {};
  for (const facet of index.facets) {
    facet.options = facet.options.map(([value, label, mask]) => ({ value, label, mask }));
    index.labels[facet.column] ??= facet.options.map((option) => option.value);
    index.facet[facet.key] = facet;
  }
  return index;
}

// Rows that pass every facet, with the counts beside each option given the other facets.
export function filter(index, chosen, having) {
  const tests = testsOf(index, chosen);
  const fails = new Uint8Array(index.rows);
  if (having) for (let row = 0; row < index.rows; row++) if (!having.has(row)) fails[row] = 2;
  for (const test of tests) for (let row = 0; row < index.rows; row++) fails[row] += !test.passes(row);
  const counts = {};
  for (const facet of index.facets) {
    if (facet.shown || chosen[facet.key]) counts[facet.key] = countOptions(index, facet, tests, fails, chosen);
  }
  return { passes: (row) => fails[row] === 0, counts };
}

function testsOf(index, chosen) {
  const byColumn = new Map();
  for (const facet of index.facets) {
    const values = chosen[facet.key];
    if (!values?.length) continue;
    const masks = facet.options.filter((option) => values.includes(option.value)).map((option) => option.mask);
    const column = index.columns[facet.column];
    if (facet.way === "bits") {
      const joint = byColumn.get(facet.column) ?? { column: facet.column, bits: -1 };
      joint.bits &= masks.reduce((all, mask) => all | mask, 0);
      joint.passes = (row) => (column[row] & joint.bits) !== 0;
      byColumn.set(facet.column, joint);
    } else {
      const wanted = new Set(masks);
      const passes = facet.way === "one" ? (row) => wanted.has(column[row]) : (row) => column[row].some((code) => wanted.has(code));
      byColumn.set(facet.column, { column: facet.column, passes });
    }
  }
  return [...byColumn.values()];
}

function countOptions(index, facet, tests, fails, chosen) {
  const own = tests.find((test) => test.column === facet.column);
  const passesOthers = (row) => fails[row] === 0 || (fails[row] === 1 && own && !own.passes(row));
  const column = index.columns[facet.column];
  const found = new Array(facet.options.length).fill(0);
  const others = facet.way === "bits" ? otherBits(index, facet, chosen) : 0;
  for (let row = 0; row < index.rows; row++) {
    if (!passesOthers(row)) continue;
    if (facet.way === "one") found[column[row]]++;
    else if (facet.way === "any") for (const code of column[row]) found[code]++;
    else {
      const bits = column[row] & others;
      for (let place = 0; place < found.length; place++) if (bits & facet.options[place].mask) found[place]++;
    }
  }
  return found;
}

// What the other facets of the same bits ask for.
function otherBits(index, facet, chosen) {
  const rest = { ...chosen, [facet.key]: [] };
  const test = testsOf(index, rest).find((one) => one.column === facet.column);
  return test ? test.bits : -1;
}

export const SORTS = {
  "": { label: "problem", by: ["example", "sample", "variant", "arm"] },
  long: { label: "longest first", by: ["tokens"], down: true },
  short: { label: "shortest first", by: ["tokens"] },
  onsets: { label: "most onsets first", by: ["count"], down: true },
  errors: { label: "most wrong steps first", by: ["wrong"], down: true },
  first: { label: "earliest onset first", by: ["first"], absent: -1 },
  parted: { label: "earliest parting first", by: ["parted"], absent: -1 },
};

const orders = new Map();

// All rows in an order; rows without the value come last.
export function order(index, key) {
  if (!orders.has(key)) orders.set(key, sorted(index, SORTS[key] ?? SORTS[""]));
  return orders.get(key);
}

function sorted(index, { by, down, absent }) {
  const rows = Array.from({ length: index.rows }, (_, row) => row);
  const columns = by.map((name) => index.columns[name]);
  const rank = (value) => (value === absent ? Infinity : down ? -value : value);
  return rows.sort((one, other) => {
    for (const column of columns) if (column[one] !== column[other]) return rank(column[one]) - rank(column[other]);
    return one - other;
  });
}
