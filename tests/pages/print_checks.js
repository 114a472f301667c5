// Run while the page is laid out for paper: what is wrong with it there.
const faults = [];
const body = getComputedStyle(document.body);
if (body.color !== "rgb(0, 0, 0)" || body.backgroundColor !== "rgb(255, 255, 255)")
  faults.push(`not black on white: ${body.color} on ${body.backgroundColor}`);
const root = document.scrollingElement;
if (root.scrollWidth > root.clientWidth) faults.push(`wider than the sheet: ${root.scrollWidth} > ${root.clientWidth}`);
for (const region of document.querySelectorAll(".wide")) {
  if (region.scrollWidth > region.clientWidth + 1)
    faults.push(`cut off at the sheet's edge: ${region.getAttribute("aria-label")}, ${region.scrollWidth} > ${region.clientWidth}`);
}
function expect(selector, property, value) {
  for (const element of document.querySelectorAll(selector)) {
    if (getComputedStyle(element)[property] !== value)
      faults.push(`${property} of ${selector} is ${getComputedStyle(element)[property]}`);
  }
}
expect("h1, h2, figcaption", "breakAfter", "avoid");
expect("figure, tr, .wide:not(.long)", "breakInside", "avoid");
return [...new Set(faults)];
