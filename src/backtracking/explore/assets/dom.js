// Elements made of text nodes only: nothing that a model wrote is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

export function el(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

export function svg(tag, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// A text with the characters that hide, reorder or break it written out by their numbers.
export function shown(text) {
  const parts = [];
  let begin = 0;
  for (const match of text.matchAll(HIDDEN)) {
    parts.push(text.slice(begin, match.index), el("span", { class: "hidden-character" }, numbered(match[0])));
    begin = match.index + 1;
  }
  parts.push(text.slice(begin));
  return parts.filter((part) => part !== "");
}

// The same as one plain text, for names and labels.
export function plain(text) {
  return text.replace(HIDDEN, numbered);
}

function numbered(character) {
  return `⟨U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

export function replace(parent, ...children) {
  parent.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

export function count(number, singular, plural = `${singular}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? singular : plural}`;
}
