// Arrows walk through the links of a table: up and down within a column, left and right within a row.

export function walkable(host) {
  host.addEventListener("keydown", (event) => {
    const link = document.activeElement;
    if (link?.tagName !== "A" || !host.contains(link)) return;
    const to = { ArrowDown: () => below(link, 1), ArrowUp: () => below(link, -1), ArrowRight: () => beside(link, 1), ArrowLeft: () => beside(link, -1) }[event.key]?.();
    if (!to) return;
    event.preventDefault();
    to.focus();
  });
}

function below(link, step) {
  const cell = link.closest("td, th");
  const links = [...cell.closest("tbody").querySelectorAll(`[data-column="${cell.dataset.column}"] a`)];
  return links[links.indexOf(link) + step];
}

function beside(link, step) {
  const links = [...link.closest("tr").querySelectorAll("a")];
  return links[links.indexOf(link) + step];
}
