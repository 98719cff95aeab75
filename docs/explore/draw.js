"use strict";
// What the pictures share: SVG elements, scales, handles that move by pointer and by keys, contours.

const draw = (() => {
  const NS = "http://www.w3.org/2000/svg";

  function el(parent, tag, attributes = {}, text = "") {
    const node = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text) node.textContent = text;
    parent.append(node);
    return node;
  }

  // A linear scale, and back.
  function scale(from, to) {
    const slope = (to[1] - to[0]) / (from[1] - from[0]);
    const there = (x) => to[0] + (x - from[0]) * slope;
    there.back = (y) => from[0] + (y - to[0]) / slope;
    return there;
  }

  const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");
  const get = (id) => document.getElementById(id);
  const value = (id) => Number(get(id).value);
  const show = (id, text) => { get(id).textContent = text; };
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
  // Rounded half away from zero, a true minus sign, no "-0".
  const fixed = (x, digits) => {
    const text = Math.abs(x).toFixed(digits);
    return x < 0 && Number(text) !== 0 ? `−${text}` : text;
  };

  // Redraw at the width that there is, so that letters keep their size on a phone.
  function responsive(svg, height, render) {
    const back = el(svg, "g"), front = el(svg, "g");
    let width = 0;
    const again = () => {
      if (!width) return;
      const tall = typeof height === "function" ? height(width) : height;
      svg.setAttribute("viewBox", `0 0 ${width} ${tall}`);
      svg.style.height = `${tall}px`;
      back.replaceChildren();
      render(back, width, tall);
    };
    const resize = () => {
      const now = Math.round(svg.getBoundingClientRect().width);
      if (now !== width) { width = now; again(); }
    };
    new ResizeObserver(resize).observe(svg);
    queueMicrotask(resize);
    return { again, front };
  }

  // A point that is dragged, or moved by the arrow keys; `moved` gets pixels, `nudged` steps of a key.
  function handle(svg, group, { label, moved, nudged, role = "slider" }) {
    const node = el(group, "g", { class: "handle", tabindex: 0, role, "aria-label": label });
    const at = (event) => {
      const box = svg.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    node.addEventListener("pointerdown", (event) => {
      node.setPointerCapture(event.pointerId);
      node.focus();
      event.preventDefault();
    });
    node.addEventListener("pointermove", (event) => {
      if (node.hasPointerCapture(event.pointerId)) moved(...at(event));
    });
    node.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!by) return;
      nudged(...by.map((step) => step * (event.shiftKey ? 5 : 1)));
      event.preventDefault();
    });
    return node;
  }

  // Marching squares: the level line of a grid of values, as one path; x and y are the grid's pixels.
  function contour(values, x, y, level) {
    let d = "";
    const cut = (p, q, v, w) => p + ((level - v) / (w - v)) * (q - p);
    for (let i = 0; i + 1 < y.length; i++) {
      for (let j = 0; j + 1 < x.length; j++) {
        const [a, b, c, e] = [values[i][j], values[i][j + 1], values[i + 1][j + 1], values[i + 1][j]];
        const points = [];
        if (a > level !== b > level) points.push([cut(x[j], x[j + 1], a, b), y[i]]);
        if (b > level !== c > level) points.push([x[j + 1], cut(y[i], y[i + 1], b, c)]);
        if (e > level !== c > level) points.push([cut(x[j], x[j + 1], e, c), y[i + 1]]);
        if (a > level !== e > level) points.push([x[j], cut(y[i], y[i + 1], a, e)]);
        for (let k = 0; k + 1 < points.length; k += 2) d += path([points[k], points[k + 1]]);
      }
    }
    return d;
  }

  return { el, scale, path, get, value, show, clamp, fixed, responsive, handle, contour };
})();
