// What a mark says on hover and focus; arrows go from mark to mark; everything unfolds to be printed.
const tip = document.getElementById("tip"), notes = JSON.parse(document.getElementById("notes").textContent);

function show(mark) {
  const more = (mark.dataset.n || "").split(" ").filter(Boolean).map((i) => notes[i]);
  tip.textContent = [mark.getAttribute("aria-label"), ...more].join("\n");
  tip.hidden = false;
  mark.setAttribute("aria-describedby", "tip");
  const at = mark.getBoundingClientRect(), wide = document.documentElement.clientWidth;
  const left = Math.max(8, Math.min(at.left + at.width / 2 - tip.offsetWidth / 2, wide - tip.offsetWidth - 8));
  const above = at.top - tip.offsetHeight - 6;
  tip.style.left = left + scrollX + "px";
  tip.style.top = (above > 0 ? above : at.bottom + 6) + scrollY + "px";
}

function hide() { tip.hidden = true; }

for (const figure of document.querySelectorAll("figure")) {
  const marks = [...figure.querySelectorAll(".m")];
  if (!marks.length) continue;
  marks[0].tabIndex = 0;
  marks.slice(1).forEach((mark) => { mark.tabIndex = -1; });
  const of = (event) => event.target.closest(".m");
  figure.addEventListener("pointerover", (event) => { if (of(event)) show(of(event)); });
  figure.addEventListener("pointerout", hide);
  figure.addEventListener("focusin", (event) => { if (of(event)) show(of(event)); });
  figure.addEventListener("focusout", hide);
  figure.addEventListener("keydown", (event) => {
    const from = marks.indexOf(of(event)), way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") hide();
    if (from < 0 || !way) return;
    event.preventDefault();
    const to = marks[(from + way + marks.length) % marks.length];
    marks[from].tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  });
}

let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach((one) => { one.open = true; });
});
addEventListener("afterprint", () => closed.forEach((one) => { one.open = false; }));
