// Run inside a page: what is wrong with it at this width and in this colour scheme, as a list of sentences.
const faults = [];
const WIDTH = document.documentElement.clientWidth;
const LEAST_CONTRAST = 4.5;
const LEAST_FONT = 11; // pixels on the screen

function name(element) {
  const text = element.textContent.trim().replace(/\s+/g, " ").slice(0, 40);
  return `<${element.tagName.toLowerCase()} class="${element.getAttribute("class") || ""}"> "${text}"`;
}

function visible(element) {
  const box = element.getBoundingClientRect();
  return box.width > 0 && box.height > 0 && getComputedStyle(element).visibility !== "hidden";
}

function scroller(element) {
  for (let at = element; at && at !== document.body; at = at.parentElement) {
    if (["auto", "scroll"].includes(getComputedStyle(at).overflowX)) return at;
  }
  return null;
}

// --- colours ---

function rgba(text) {
  const numbers = text.match(/[\d.]+/g);
  return numbers ? [...numbers.slice(0, 3).map(Number), numbers.length > 3 ? Number(numbers[3]) : 1] : [0, 0, 0, 0];
}

function over(front, back) {
  return [0, 1, 2].map((i) => front[i] * front[3] + back[i] * (1 - front[3])).concat(1);
}

function luminance(color) {
  const parts = color.slice(0, 3).map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
}

function background(element) {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const color = rgba(getComputedStyle(at).backgroundColor);
    if (color[3] > 0) layers.push(color);
    if (color[3] === 1) break;
  }
  return layers.reverse().reduce((back, front) => over(front, back), [255, 255, 255, 1]);
}

function contrast(element) {
  const style = getComputedStyle(element);
  const back = background(element);
  const front = over(rgba(element instanceof SVGElement ? style.fill : style.color), back);
  const [light, dark] = [luminance(front), luminance(back)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

// --- text ---

function fontSize(element) {
  const scale = element instanceof SVGGraphicsElement ? Math.hypot(element.getScreenCTM().a, element.getScreenCTM().b) : 1;
  return parseFloat(getComputedStyle(element).fontSize) * scale;
}

const texts = new Set();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  if (walker.currentNode.textContent.trim()) texts.add(walker.currentNode.parentElement);
}
for (const element of texts) {
  if (!visible(element)) continue;
  const size = fontSize(element);
  if (size < LEAST_FONT) faults.push(`text of ${size.toFixed(1)} px: ${name(element)}`);
  const ratio = contrast(element);
  if (ratio < LEAST_CONTRAST) faults.push(`contrast of ${ratio.toFixed(2)}: ${name(element)}`);
  const box = element.getBoundingClientRect();
  if ((box.right > WIDTH + 1 || box.left < -1) && !scroller(element))
    faults.push(`reaches beyond the page, to ${box.left.toFixed(0)} and ${box.right.toFixed(0)} of ${WIDTH}: ${name(element)}`);
}
const controls = document.documentElement.textContent.match(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/);
if (controls) faults.push(`a control character stands in it: U+${controls[0].codePointAt(0).toString(16)}`);

const dark = matchMedia("(prefers-color-scheme: dark)").matches;
if (luminance(background(document.body)) < 0.2 !== dark) faults.push(`the page is ${dark ? "bright in the dark" : "dark in the light"}`);

// --- width ---

const root = document.scrollingElement;
if (root.scrollWidth > root.clientWidth) faults.push(`the page scrolls sideways: ${root.scrollWidth} > ${root.clientWidth}`);
for (const element of document.body.querySelectorAll("*")) {
  const style = getComputedStyle(element);
  if (element instanceof SVGElement || element.scrollWidth <= element.clientWidth + 1) continue;
  if (["hidden", "clip"].includes(style.overflowX)) faults.push(`cut off: ${name(element)}`);
  if (!["auto", "scroll"].includes(style.overflowX)) continue;
  if (element.getAttribute("role") !== "region" || element.tabIndex !== 0 || !element.getAttribute("aria-label"))
    faults.push(`scrolls, and is no region with a name that the keyboard reaches: ${name(element)}`);
  const shades = (style.backgroundImage.match(/gradient/g) || []).length;
  if (shades < 4 || !style.backgroundAttachment.includes("local"))
    faults.push(`scrolls, and its edges do not say so: ${name(element)}`);
}
// Beside the name of a row there is room for its first figure.
for (const cell of document.querySelectorAll("tbody tr:first-child > :nth-child(2)")) {
  const edge = Math.min(WIDTH, scroller(cell) ? scroller(cell).getBoundingClientRect().right : WIDTH);
  const label = cell.previousElementSibling.getBoundingClientRect();
  const box = cell.getBoundingClientRect();
  const needed = Math.min(box.right, box.left + 0.6 * WIDTH); // a passage of text may be wider than a telephone
  if (needed > edge + 1 || box.left < label.right - 1) faults.push(`no figure is in view beside "${cell.previousElementSibling.textContent}"`);
}

// --- charts ---

for (const svg of document.querySelectorAll("svg")) {
  const hidden = svg.closest("[aria-hidden=true]");
  if (!hidden && !(svg.getAttribute("role") === "img" && svg.getAttribute("aria-label")))
    faults.push(`a picture without a name: ${name(svg)}`);
  const labels = [...svg.querySelectorAll("text")].filter(visible).map((text) => [text, text.getBoundingClientRect()]);
  for (const [i, [text, a]] of labels.entries()) {
    for (const [other, b] of labels.slice(i + 1)) {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1 && down > 4) faults.push(`labels over each other: "${text.textContent}" and "${other.textContent}"`);
    }
  }
  if (svg.matches(".plot") && labels.filter(([text]) => text.getAttribute("text-anchor") === "middle").length < 1)
    faults.push(`an axis without numbers: ${svg.getAttribute("aria-label")}`);
  for (const element of [svg, ...svg.querySelectorAll("*")]) {
    for (const { name: attribute, value } of element.attributes) {
      if (attribute !== "aria-label" && /nan|inf(?!o)/i.test(value)) faults.push(`${attribute}="${value.slice(0, 40)}" in a chart`);
    }
  }
}

// --- the document ---

for (const image of document.images) if (!image.alt) faults.push("an image without a name");
for (const element of document.querySelectorAll("[aria-label='']")) faults.push(`an empty aria-label: ${name(element)}`);
for (const th of document.querySelectorAll("th")) {
  if (!["col", "row"].includes(th.scope)) faults.push(`a header of neither a row nor a column: ${name(th)}`);
  if (!th.textContent.trim()) faults.push("an empty header in a table");
}
const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((h) => Number(h.tagName[1]));
if (headings.filter((level) => level === 1).length !== 1) faults.push("not one h1");
headings.forEach((level, i) => { if (i > 0 && level > headings[i - 1] + 1) faults.push(`a heading of level ${level} after ${headings[i - 1]}`); });
if (document.documentElement.lang !== "en") faults.push("no lang");
if (!document.title.trim()) faults.push("no title");
if (!document.querySelector("meta[name=viewport]")) faults.push("no viewport");
if (!document.querySelector("main p.lead")) faults.push("no result under the title");
if (document.scripts.length > 0) faults.push("a script");
for (const entry of performance.getEntriesByType("resource")) {
  if (!entry.name.startsWith("data:")) faults.push(`it asked for ${entry.name}`);
}
return [...new Set(faults)];
