// The focused cell: moved by the keys a trader's hand knows; Enter opens the row, Ctrl+C copies the cell.

export class Focus {
  constructor(grid) {
    this.grid = grid;
    this.names = [];
    this.row = -1;
    this.column = "";
    this.marked = null;
    grid.scroller.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Other columns: the focus stays on its own, or goes to the first. */
  arrange(names) {
    this.names = names;
    this.marked = null;
    if (!names.includes(this.column)) [this.column] = names;
  }

  set(row, column) {
    this.row = row;
    this.column = column;
    this.draw();
  }

  draw() {
    const host = this.row < 0 ? undefined : this.grid.cellAt(this.row, this.column)?.host;
    if (this.marked === host) return;
    this.marked?.classList.remove("focus");
    this.marked?.removeAttribute("id");
    this.marked = host ?? null;
    if (!host) return;
    host.classList.add("focus");
    host.id = "focused-cell";
    this.grid.scroller.setAttribute("aria-activedescendant", host.id);
  }

  #move(rows, columns) {
    const at = this.names.indexOf(this.column) + columns;
    this.column = this.names[Math.max(0, Math.min(this.names.length - 1, at))];
    this.row = Math.max(0, Math.min(this.grid.total - 1, Math.max(0, this.row) + rows));
    this.grid.reveal(this.row, this.column);
    this.draw();
  }

  #key(event) {
    if (event.target !== this.grid.scroller || this.grid.total === 0) return;
    const all = this.grid.total;
    const control = event.ctrlKey || event.metaKey;
    const moves = {
      ArrowDown: [control ? all : this.row < 0 ? 0 : 1, 0],
      ArrowUp: [control ? -all : -1, 0],
      ArrowLeft: [0, control ? -99 : -1],
      ArrowRight: [0, control ? 99 : 1],
      PageDown: [this.grid.page - 2, 0],
      PageUp: [2 - this.grid.page, 0],
      Home: [control ? -all : 0, control ? 0 : -99],
      End: [control ? all : 0, control ? 0 : 99],
    };
    if (moves[event.key]) this.#move(...moves[event.key]);
    else if (event.key === "Enter" && this.row >= 0) this.grid.open(this.row);
    else if (event.key === "c" && control && window.getSelection().type !== "Range") this.#copy();
    else return;
    event.preventDefault();
  }

  #copy() {
    const text = this.grid.cellAt(this.row, this.column)?.host.textContent;
    if (text) navigator.clipboard?.writeText(text.replace("≥ ", "")).catch((error) => console.warn("grid: not copied", error));
  }
}
