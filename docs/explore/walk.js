"use strict";
// (e) One step of Algorithm 1: which tensors each line makes, with their shapes, and the passes done so far.

(() => {
  const S = uegr.SIZES, D_ALL = uegr.parametersOf(S);
  const LINES = [
    [3, "clean pass with mask m₀; its loss"],
    [4, "backward to the word vectors and the dropout sites: gradient norms n, perturbation δ"],
    [5, "x′ = x + δ; drop rates q from the norms"],
    [6, "K passes on x′, each with a mask of its own"],
    [7, "adversarial cross-entropy, and JS of the K predictions"],
    [8, "the total loss: clean + adversarial + α · JS"],
    [9, "backward through all passes: gradient g of every parameter, saliency s, ranks s̃"],
    [10, "keep probabilities p, and a mask m drawn from them"],
    [11, "the optimizer's step, its entries with a gradient times m / p"],
  ];
  // name, line that makes it, shape, column, row, whether it belongs to a backward pass
  const tensors = (k) => [
    ["x", 3, [S.B, S.T, S.D], 0, 0], ["z₀", 3, [S.B, S.C], 1, 0], ["L clean", 3, [], 2, 0],
    ["G", 4, [S.B, S.T, S.D], 1, 1, true], ["n", 4, [S.D, S.H], 2, 1, true], ["δ", 4, [S.B, S.T, S.D], 0, 1, true],
    ["x′", 5, [S.B, S.T, S.D], 0, 2], ["q", 5, [S.D, S.H], 2, 2], ["z", 6, [k, S.B, S.C], 1, 2],
    ["L adv", 7, [], 0, 3], ["JS", 7, [], 1, 3], ["L", 8, [], 2, 3],
    ["g", 9, [D_ALL], 0, 4, true], ["s", 9, [D_ALL], 1, 4, true], ["s̃", 9, [D_ALL], 2, 4, true],
    ["p", 10, [D_ALL], 0, 5, true], ["m", 10, [D_ALL], 1, 5, true], ["θ", 11, [D_ALL], 2, 5, true],
  ];
  const svg = document.querySelector("#walk svg");
  const passes = () => Number(draw.get("walk-k").value);
  let at = 0, timer = null;

  function shapeOf([name, , shape]) {
    if (name === "n" || name === "q") return `(${shape[0]},) and (${shape[1]},)`;
    return shape.length ? `(${shape.join(", ")}${shape.length === 1 ? "," : ""})` : "a number";
  }

  function render(group, width, height) {
    const rows = 6, gap = 12, wide = (width - 2 * gap) / 3, tall = (height - (rows - 1) * gap) / rows, now = LINES[at][0];
    for (const tensor of tensors(passes())) {
      const [name, line, , column, row, back] = tensor;
      const state = line === now ? "now" : line < now ? "done" : "";
      const box = draw.el(group, "g", {
        class: `tensor ${state} ${back ? "back" : ""}`, transform: `translate(${column * (wide + gap)} ${row * (tall + gap)})`,
        opacity: line > now ? 0.45 : 1,
      });
      draw.el(box, "rect", { width: wide, height: tall });
      draw.el(box, "text", { class: "italic", x: wide / 2, y: tall / 2 - 2, "text-anchor": "middle" }, name);
      draw.el(box, "text", { class: "shape", x: wide / 2, y: tall / 2 + 15, "text-anchor": "middle", "data-tensor": name }, shapeOf(tensor));
    }
  }

  function update() {
    const line = LINES[at][0], done = uegr.passesAfter(line, passes());
    draw.show("walk-forward", done.forward);
    draw.show("walk-backward", done.backward);
    draw.show("walk-d", D_ALL);
    draw.get("walk-back").disabled = at === 0;
    draw.get("walk-next").disabled = at === LINES.length - 1;
    draw.get("walk-lines").querySelectorAll("li").forEach((item, i) => {
      item.className = i === at ? "now" : i < at ? "done" : "";
      if (i === at) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    });
    picture.again();
  }

  function go(to) {
    at = draw.clamp(to, 0, LINES.length - 1);
    update();
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    draw.show("walk-play", "Play");
  }

  function play() {
    if (timer) return stop();
    if (at === LINES.length - 1) go(0);
    draw.show("walk-play", "Stop");
    timer = setInterval(() => {
      go(at + 1);
      if (at === LINES.length - 1) stop();
    }, 1100);
  }

  for (const [line, words] of LINES) {
    const item = document.createElement("li");
    for (const part of [line, words]) {
      const span = document.createElement("span");
      span.textContent = part;
      item.append(span);
    }
    draw.get("walk-lines").append(item);
  }
  const picture = draw.responsive(svg, 380, render);
  draw.get("walk-next").addEventListener("click", () => { stop(); go(at + 1); });
  draw.get("walk-back").addEventListener("click", () => { stop(); go(at - 1); });
  draw.get("walk-play").addEventListener("click", play);
  draw.get("walk-k").addEventListener("input", update);
  draw.get("walk").addEventListener("keydown", (event) => {
    if (event.target.tagName === "SELECT") return;
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by) { stop(); go(at + by); event.preventDefault(); }
  });
  update();
})();
