// Run inside a standalone SVG file: what is wrong with it at this width and in this colour scheme.
const faults = [];
const svg = document.documentElement;
function luminance(text) {
  const parts = text.match(/[\d.]+/g).slice(0, 3).map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
}
if (!svg.querySelector("title")?.textContent.trim()) faults.push("no title");
const page = luminance(getComputedStyle(svg.querySelector("rect")).fill);
const frame = svg.getBoundingClientRect();
for (const text of svg.querySelectorAll("text")) {
  if (!text.textContent.trim()) continue;
  const ink = luminance(getComputedStyle(text).fill);
  const ratio = (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05);
  if (ratio < 4.5) faults.push(`contrast of ${ratio.toFixed(2)}: ${text.textContent}`);
  const size = parseFloat(getComputedStyle(text).fontSize) * Math.hypot(text.getScreenCTM().a, text.getScreenCTM().b);
  if (size < 11) faults.push(`text of ${size.toFixed(1)} px: ${text.textContent}`);
  const box = text.getBoundingClientRect();
  if (box.left < frame.left - 1 || box.right > frame.right + 1) faults.push(`cut off: ${text.textContent}`);
}
return faults;
