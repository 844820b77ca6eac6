// elements.js: elements of the page. What came from a pack is only ever text, in a direction of its own.
"use strict";

// Characters that nobody sees, or that turn what stands beside them: shown as what they are, something odd.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;

function seen(text, lines = false) {
  return text.replace(UNSEEN, (one) => {
    if (one === "\u200c" || one === "\u200d" || (lines && one === "\n")) return one;
    return lines && one === "\r" ? "" : "\ufffd";
  });
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  made.append(...children.filter((one) => one !== null));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Text of a pack, on one line.
function foreign(text, most = 400) {
  const cut = Array.from(text.length > 4 * most ? text.slice(0, 4 * most) : text);
  return element("bdi", { dir: "auto" }, seen(cut.slice(0, most).join("")) + (cut.length > most ? " …" : ""));
}

// Names, paths, keys, numbers with signs: left to right in every language.
function technical(text) {
  return element("bdi", { dir: "ltr", class: "technical" }, seen(String(text)));
}

// Times of day: from left to right whatever their digits are.
function clockText(text) {
  return element("bdo", { dir: "ltr", class: "technical clock" }, text);
}

// [[label, content...], ...] as a table with a head column.
function facts(rows) {
  const body = element("tbody");
  for (const [label, ...content] of rows) {
    const cells = content.map((one) => element("td", {}, ...(Array.isArray(one) ? one : [one])));
    body.append(element("tr", {}, element("th", { scope: "row" }, label), ...cells));
  }
  return element("div", { class: "scrolls" }, element("table", {}, body));
}

function headed(heads, rows) {
  const head = element("tr", {}, ...heads.map((one) => element("th", { scope: "col" }, one)));
  const body = rows.map((cells) => element("tr", {}, ...cells.map((one) => element("td", {}, one))));
  const table = element("table", { class: "headed" }, element("thead", {}, head), element("tbody", {}, ...body));
  return element("div", { class: "scrolls" }, table);
}

function section(title, ...children) {
  return element("section", {}, element("h2", {}, title), ...children);
}

function paragraph(text, style = null) {
  return element("p", { class: style }, text);
}

// At most `most` of a list are shown, and then how many there are.
function shortened(list, most, show) {
  const rest = list.length > most ? [paragraph(say("shown_of", { n: number(most), all: number(list.length) }), "small")] : [];
  return [show(list.slice(0, most)), ...rest];
}
