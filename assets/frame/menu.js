// The pages as a menu, where the window has no room for them side by side.

export function makeMenu(button, pages) {
  const open = (yes) => {
    pages.toggleAttribute("data-open", yes);
    button.setAttribute("aria-expanded", String(yes));
  };
  button.addEventListener("click", () => {
    open(!pages.hasAttribute("data-open"));
    if (pages.hasAttribute("data-open")) pages.querySelector("a").focus();
  });
  document.addEventListener("click", (event) => !button.contains(event.target) && open(false));
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape" || !pages.hasAttribute("data-open")) return;
      event.stopPropagation(); // it closes what is on top, and nothing below
      open(false);
      button.focus();
    },
    true,
  );
  pages.addEventListener("focusout", (event) => event.relatedTarget && !pages.contains(event.relatedTarget) && event.relatedTarget !== button && open(false));
}
