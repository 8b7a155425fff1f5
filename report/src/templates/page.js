"use strict";
// Legends switch lines on and off; heads of tables sort them; printing opens what is folded.
for (const item of document.querySelectorAll(".legend [data-s]")) {
  const figures = item.closest("section");
  const toggle = () => {
    const off = item.classList.toggle("off");
    item.setAttribute("aria-pressed", String(!off));
    for (const part of figures.querySelectorAll("svg [data-s]")) {
      if (part.dataset.s === item.dataset.s) part.classList.toggle("off", off);
    }
  };
  item.tabIndex = 0;
  item.setAttribute("role", "button");
  item.setAttribute("aria-pressed", "true");
  item.addEventListener("click", toggle);
  item.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      toggle();
    }
  });
}
const units = { ns: 1e-3, "µs": 1, ms: 1e3, s: 1e6, B: 1, KiB: 1024, MiB: 1048576 };
const words = (cell) => [...(cell?.childNodes ?? [])].filter((node) => !node.classList?.contains("under"))
  .map((node) => node.textContent).join("").trim();
const value = (cell) => {
  const found = words(cell).replaceAll("\u202f", "").match(/^(-?[\d.]+)\s*([^\s\d±]*)/);
  return found ? Number(found[1]) * (units[found[2]] ?? 1) : NaN;
};
for (const head of document.querySelectorAll("table:not(.index):not(.map) thead th")) {
  const body = head.closest("table").tBodies[0];
  if (!body || head.closest(".matrix")) continue;
  head.tabIndex = 0;
  const sort = () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const nth = head.cellIndex;
    const rows = [...body.rows].map((row) => [value(row.cells[nth]), row.cells[nth]?.textContent ?? "", row]);
    rows.sort(([a, left], [b, right]) => {
      // What has no number comes last, by its words.
      if (Number.isNaN(a) !== Number.isNaN(b)) return Number.isNaN(a) ? 1 : -1;
      return Number.isNaN(a) ? left.localeCompare(right) : a - b;
    });
    if (down) rows.reverse();
    for (const [, , row] of rows) body.append(row);
  };
  head.addEventListener("click", sort);
  head.addEventListener("keydown", (event) => {
    if (event.key === "Enter") sort();
  });
}
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});
