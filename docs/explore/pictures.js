"use strict";
// The first four pictures. Each reads its controls, shows its numbers, and draws.

const COLOURS = ["var(--blue)", "var(--warm)", "var(--green)", "var(--violet)", "var(--quiet)", "var(--ink)"];
const svgOf = (id) => document.querySelector(`#${id} svg`);
const onInput = (ids, update) => ids.forEach((id) => draw.get(id).addEventListener("input", update));

function axes(group, x, y, xTicks, yTicks, digits = 1) {
  for (const tick of yTicks) {
    draw.el(group, "path", { class: "grid", d: `M${x(x.low)} ${y(tick)}H${x(x.high)}` });
    draw.el(group, "text", { class: "quiet", x: x(x.low) - 8, y: y(tick) + 4, "text-anchor": "end" }, tick.toFixed(digits));
  }
  for (const [tick, text] of xTicks)
    draw.el(group, "text", { class: "quiet", x: x(tick), y: y(y.low) + 20, "text-anchor": "middle" }, text);
}

function scales(width, height, xs, ys, left = 40) {
  const x = draw.scale(xs, [left, width - 12]), y = draw.scale(ys, [height - 34, 14]);
  [x.low, x.high] = xs;
  [y.low, y.high] = ys;
  return [x, y];
}

// --- (a) keep probability
(() => {
  const svg = svgOf("keep");
  const read = () => ({ a: draw.value("keep-a-in"), b: draw.value("keep-b-in"), s: draw.value("keep-s-in") });
  let x, y;

  function render(group, width, height) {
    const { a, b, s } = read();
    [x, y] = scales(width, height, [0, 1], [0, 1]);
    axes(group, x, y, [0, 0.25, 0.5, 0.75, 1].map((t) => [t, String(t)]), [0, 0.5, 1]);
    draw.el(group, "text", { class: "italic quiet", x: width - 14, y: y(0) - 8, "text-anchor": "end" }, "s");
    draw.el(group, "text", { class: "italic quiet", x: x(0) + 8, y: 24 }, "p");
    const points = Array.from({ length: 121 }, (_, i) => [x(i / 120), y(uegr.keepProbability(i / 120, a, b))]);
    draw.el(group, "path", { d: `${draw.path(points)}L${x(1)} ${y(0)}L${x(0)} ${y(0)}Z`, fill: "var(--wash)" });
    draw.el(group, "path", { class: "axis", d: `M${x(a)} ${y(0)}V${y(0.5)}`, "stroke-dasharray": "3 4" });
    draw.el(group, "path", { class: "curve", d: draw.path(points), stroke: "var(--blue)" });
    const p = uegr.keepProbability(s, a, b);
    draw.el(group, "circle", { cx: x(s), cy: y(p), r: 5, fill: "var(--warm)" });
    const [dx, dy, anchor] = s < 0.25 ? [8, 20, "start"] : [-8, -9, "end"]; // beside a rising curve, not on it
    draw.el(group, "text", { x: x(s) + dx, y: y(p) + dy, "text-anchor": anchor }, `p = ${p.toFixed(3)}`);
    node.setAttribute("transform", `translate(${x(a)} ${y(0.5)})`);
    node.setAttribute("aria-valuenow", a);
  }

  function update() {
    const { a, b, s } = read();
    draw.show("keep-a", a.toFixed(2));
    draw.show("keep-b", b.toFixed(1));
    draw.show("keep-s", s.toFixed(2));
    draw.show("keep-p", uegr.keepProbability(s, a, b).toFixed(3));
    draw.show("keep-share", `${(100 * uegr.meanKeep(a, b)).toFixed(1)} %`);
    const cost = uegr.meanInverseKeep(a, b);
    draw.show("keep-cost", `${cost < 1000 ? cost.toFixed(2) : cost.toExponential(2)} ×`);
    picture.again();
  }

  const set = (a) => { draw.get("keep-a-in").value = a; update(); };
  const picture = draw.responsive(svg, (w) => draw.clamp(0.5 * w, 190, 300), render);
  const node = draw.handle(svg, picture.front, {
    label: "threshold a", moved: (px) => set(draw.clamp(x.back(px), 0, 1)),
    nudged: (dx, dy) => set(draw.clamp(draw.value("keep-a-in") + 0.01 * (dx + dy), 0, 1)),
  });
  draw.el(node, "circle", { class: "ring", r: 15 });
  draw.el(node, "circle", { r: 7, fill: "var(--card)", stroke: "var(--blue)", "stroke-width": 2.5 });
  onInput(["keep-a-in", "keep-b-in", "keep-s-in"], update);
  update();
})();

// --- (b) Theorem 1
const theorem = (() => {
  const G = [0.3, -0.5, 0.8, -1.2, 1.7, -2.4], A = 0.6, B = 1;
  const P = uegr.rankNormalise(G.map((g) => g * g)).map((s) => uegr.keepProbability(s, A, B));
  const svg = svgOf("theorem");
  const rule = () => draw.get("theorem-rule").value, rescale = () => draw.get("theorem-rescale").checked;
  let state, random, trail, masks;

  function restart() {
    state = uegr.startOfSteps(G.length);
    random = uegr.generator(1);
    trail = [];
    masks = [];
    update();
  }

  function more(count) {
    for (let i = 0; i < count; i++) {
      const mask = uegr.bernoulliMask(P, random);
      masks.push(mask);
      uegr.drawStep(state, G, P, mask, rule(), rescale());
      const last = trail.length ? trail[trail.length - 1].n : 0;
      if (state.draws < 60 || state.draws >= 1.02 * last) trail.push({ n: state.draws, means: uegr.meansOf(state) });
    }
    update();
  }

  function render(group, width, height) {
    const most = Math.max(100, state.draws), whole = uegr.unmaskedStep(G, rule());
    const [x, y] = scales(width, height, [0, Math.log10(most)], [0, 2]);
    const ticks = [1, 10, 100, 1000, 10000, 100000].filter((n) => n <= most).map((n) => [Math.log10(n), String(n)]);
    axes(group, x, y, ticks, [0, 0.5, 1, 1.5, 2]);
    draw.el(group, "text", { class: "quiet", x: x(x.high), y: y(0) - 8, "text-anchor": "end" }, "draws");
    P.forEach((p, i) => {
      const target = uegr.shareOfStep(p, rule(), rescale());
      draw.el(group, "path", { class: "curve", d: `M${x(x.high) - 10} ${y(target)}h10`, stroke: COLOURS[i] });
      const points = trail.map(({ n, means }) => [x(Math.log10(n)), y(draw.clamp(means[i] / whole[i], 0, 2))]);
      if (points.length) draw.el(group, "path", { class: "curve", d: draw.path(points), stroke: COLOURS[i] });
    });
    if (!state.draws)
      draw.el(group, "text", { class: "quiet", x: (x(x.low) + x(x.high)) / 2, y: y(1.25), "text-anchor": "middle" }, "draw a mask");
  }

  const WORDS = {
    sgd: ["Divided by p, every mean settles on the gradient itself.", "Not divided by p, every mean settles on p times the gradient: the rare ones are lost."],
    adam: ["Adam divides by the size of what it is handed, which the mask made larger: the mean step is about √p of the whole.", "Adam undoes the missing 1/p as well: the mean step is about √p of the whole, with and without it."],
    adam_update: ["The mask acts on Adam's own step, so the theorem holds for the step that is taken.", "Not divided by p, the mean step is p of the whole."],
  };

  function update() {
    const whole = uegr.unmaskedStep(G, rule()), means = uegr.meansOf(state), variances = uegr.variancesOf(state);
    draw.get("theorem-rows").innerHTML = G.map((g, i) => {
      const limit = whole[i] * uegr.shareOfStep(P[i], rule(), rescale());
      const formula = uegr.varianceOfStep(whole[i], P[i], rule(), rescale());
      const seen = state.draws > 0;
      const cells = [
        g.toFixed(1).replace("-", "−"), P[i].toFixed(3), seen ? draw.fixed(means[i], 3) : "–",
        draw.fixed(limit, 3), seen ? variances[i].toFixed(2) : "–", Number.isNaN(formula) ? "–" : formula.toFixed(2),
      ];
      return `<tr><td><span class="swatch" style="background:${COLOURS[i]}"></span></td>${cells.map((c) => `<td>${c}</td>`).join("")}</tr>`;
    }).join("");
    draw.show("theorem-draws", state.draws);
    draw.show("theorem-say", WORDS[rule()][rescale() ? 0 : 1]);
    picture.again();
  }

  const picture = draw.responsive(svg, (w) => draw.clamp(0.48 * w, 200, 300), render);
  document.querySelectorAll("[data-draw]").forEach((button) =>
    button.addEventListener("click", () => more(Number(button.dataset.draw))));
  draw.get("theorem-again").addEventListener("click", restart);
  onInput(["theorem-rule", "theorem-rescale"], restart);
  restart();
  return { G, P, masks: () => masks };
})();

// --- (c) adaptive dropout
(() => {
  const norms = [0.4, 1.1, 0.7, 2.4, 0.2, 1.6, 0.9, 3.2], MOST = 4;
  const svg = svgOf("dropout");
  let x, up, down;

  function rates() {
    const high = draw.value("dropout-max-in"), base = draw.get("dropout-r-in");
    if (base.value > high) base.value = high; // no rates below their limit have a mean above it
    return uegr.dropRates(norms, Number(base.value), draw.value("dropout-gamma-in"), 0, high);
  }

  function render(group, width, height) {
    const q = rates(), middle = 0.5 * height, wide = (width - 52) / norms.length;
    x = (i) => 48 + i * wide;
    up = draw.scale([0, MOST], [middle - 16, 22]);
    down = draw.scale([0, 1], [middle + 12, height - 6]);
    draw.el(group, "text", { class: "quiet", x: 0, y: 12 }, "gradient norm");
    draw.el(group, "text", { class: "quiet", x: 0, y: middle + 3 }, "drop rate");
    draw.el(group, "path", { class: "axis", d: `M40 ${up(0)}H${width}M40 ${down(0)}H${width}` });
    const mean = uegr.mean(q);
    norms.forEach((n, i) => {
      const middleOf = x(i) + wide / 2, thick = Math.min(wide - 6, 46);
      draw.el(group, "rect", { x: middleOf - thick / 2, y: up(n), width: thick, height: up(0) - up(n), fill: "var(--blue)", opacity: 0.75, rx: 3 });
      draw.el(group, "rect", { x: middleOf - thick / 2, y: down(0), width: thick, height: down(q[i]) - down(0), fill: "var(--warm)", opacity: 0.75, rx: 3 });
      const label = draw.el(group, "text", { class: "rate", x: middleOf, y: down(q[i]) + 16, "text-anchor": "middle" }, q[i].toFixed(2));
      if (wide < 44) label.style.fontSize = "11px";
      nodes[i].setAttribute("transform", `translate(${middleOf} ${up(n)})`);
      nodes[i].setAttribute("aria-valuenow", n.toFixed(2));
    });
    draw.el(group, "path", { class: "axis", d: `M40 ${down(mean)}H${width}`, "stroke-dasharray": "3 4" });
  }

  function update() {
    const q = rates();
    draw.show("dropout-r", draw.value("dropout-r-in").toFixed(2));
    draw.show("dropout-gamma", draw.value("dropout-gamma-in").toFixed(1));
    draw.show("dropout-max", draw.value("dropout-max-in").toFixed(2));
    draw.show("dropout-mean", uegr.mean(q).toFixed(3));
    draw.show("dropout-least", Math.min(...q).toFixed(3));
    draw.show("dropout-most", Math.max(...q).toFixed(3));
    picture.again();
  }

  const set = (i, n) => { norms[i] = draw.clamp(Math.round(100 * n) / 100, 0, MOST); update(); };
  const picture = draw.responsive(svg, 330, render);
  const nodes = norms.map((_, i) => {
    const node = draw.handle(svg, picture.front, {
      label: `gradient norm of unit ${i + 1}`, moved: (_px, py) => set(i, up.back(py)),
      nudged: (dx, dy) => set(i, norms[i] + 0.1 * (dx + dy)),
    });
    node.setAttribute("aria-valuemin", 0);
    node.setAttribute("aria-valuemax", MOST);
    draw.el(node, "circle", { class: "ring", r: 15 });
    draw.el(node, "circle", { r: 6, fill: "var(--card)", stroke: "var(--blue)", "stroke-width": 2.5 });
    return node;
  });
  onInput(["dropout-r-in", "dropout-gamma-in", "dropout-max-in"], update);
  update();
})();

// --- (d) the attack
(() => {
  const SPAN = 3, CELLS = 44, SUBMODELS = [[false, true, true], [true, false, true]];
  const svg = svgOf("attack");
  const text = [0.6, 0.5];
  let x, y;
  const label = () => draw.value("attack-label");
  const deltaOf = () => uegr.perturbation(uegr.gradientOf(text, label(), null), draw.value("attack-epsilon-in"), draw.get("attack-kind").value);

  function render(group, width, height) {
    // A whole number of pixels a cell, so that no seam shows between them.
    const size = Math.floor((height - 8) / CELLS), left = Math.floor((width - size * CELLS) / 2);
    x = draw.scale([-SPAN, SPAN], [left, left + size * CELLS]);
    y = draw.scale([-SPAN, SPAN], [4 + size * CELLS, 4]);
    const line = Array.from({ length: CELLS + 1 }, (_, i) => -SPAN + (2 * SPAN * i) / CELLS);
    const values = line.map((v) => line.map((u) => uegr.lossOf([u, v], label(), null)));
    const xs = line.map(x), ys = line.map(y);
    const most = Math.max(...values.flat());
    const cells = draw.el(group, "g", { fill: "var(--blue)", "shape-rendering": "crispEdges" });
    for (let i = 0; i < CELLS; i++)
      for (let j = 0; j < CELLS; j++)
        draw.el(cells, "rect", { x: xs[j], y: ys[i + 1], width: size, height: size, "fill-opacity": (0.55 * (values[i][j] + values[i + 1][j + 1]) / 2 / most).toFixed(3) });
    for (const level of [0.1, 0.25, 0.5, 1, 1.5, 2, 3])
      draw.el(group, "path", { d: draw.contour(values, xs, ys, level), fill: "none", stroke: "var(--blue)", "stroke-width": level === 1 ? 1.4 : 0.8, opacity: 0.65 });
    draw.el(group, "path", { d: draw.contour(values, xs, ys, Math.LN2), fill: "none", stroke: "var(--ink)", "stroke-width": 1.4, "stroke-dasharray": "4 4" });
    const delta = deltaOf(), epsilon = draw.value("attack-epsilon-in");
    const [cx, cy] = [x(text[0]), y(text[1])], [ax, ay] = [x(text[0] + delta[0]), y(text[1] + delta[1])];
    const reach = x(epsilon) - x(0), ball = { fill: "none", stroke: "var(--warm)", "stroke-width": 1.2, "stroke-dasharray": "3 3" };
    if (draw.get("attack-kind").value === "fgsm") draw.el(group, "rect", { x: cx - reach, y: cy - reach, width: 2 * reach, height: 2 * reach, ...ball });
    else draw.el(group, "circle", { cx, cy, r: reach, ...ball });
    draw.el(group, "path", { d: draw.path([[cx, cy], [ax, ay]]), stroke: "var(--warm)", "stroke-width": 2.4 });
    draw.el(group, "circle", { cx: ax, cy: ay, r: 5, fill: "var(--warm)" });
    draw.el(group, "text", { class: "quiet", x: x(SPAN) - 6, y: y(-SPAN) - 8, "text-anchor": "end" }, "first word →");
    draw.el(group, "text", { class: "quiet", x: x(-SPAN) + 8, y: y(SPAN) + 18 }, "↑ second word");
    node.setAttribute("transform", `translate(${cx} ${cy})`);
    node.setAttribute("aria-label", `the text, at ${text.map((t) => t.toFixed(1)).join(", ")}: arrow keys move it`);
  }

  const pair = (v, digits) => `(${v.map((t) => draw.fixed(t, digits)).join(", ")})`;

  function update() {
    const delta = deltaOf(), there = text.map((t, i) => t + delta[i]);
    const loss = uegr.lossOf(text, label(), null), adversarial = uegr.lossOf(there, label(), null);
    draw.show("attack-epsilon", draw.value("attack-epsilon-in").toFixed(2));
    draw.show("attack-loss", loss.toFixed(3));
    draw.show("attack-adversarial", adversarial.toFixed(3));
    draw.show("attack-p", Math.exp(-loss).toFixed(3));
    draw.show("attack-p-adversarial", Math.exp(-adversarial).toFixed(3));
    draw.show("attack-js", uegr.js(SUBMODELS.map((keep) => uegr.logitsOf(text, keep))).toFixed(3));
    draw.show("attack-js-adversarial", uegr.js(SUBMODELS.map((keep) => uegr.logitsOf(there, keep))).toFixed(3));
    draw.show("attack-x", pair(text, 2));
    draw.show("attack-g", pair(uegr.gradientOf(text, label(), null), 3));
    draw.show("attack-delta", pair(delta, 2));
    picture.again();
  }

  const set = (u, v) => {
    [u, v].forEach((t, i) => { text[i] = draw.clamp(Math.round(100 * t) / 100, -SPAN, SPAN); });
    update();
  };
  const picture = draw.responsive(svg, (w) => CELLS * Math.floor(Math.min(w, 404) / CELLS) + 8, render);
  const node = draw.handle(svg, picture.front, {
    role: "application", label: "the text", moved: (px, py) => set(x.back(px), y.back(py)),
    nudged: (dx, dy) => set(text[0] + 0.1 * dx, text[1] + 0.1 * dy),
  });
  draw.el(node, "circle", { class: "ring", r: 15 });
  draw.el(node, "circle", { r: 7, fill: "var(--card)", stroke: "var(--ink)", "stroke-width": 2.5 });
  onInput(["attack-epsilon-in", "attack-kind", "attack-label"], update);
  update();
})();
