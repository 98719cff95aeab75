"use strict";
// The mathematics of the pictures, apart from them: a test compares every function here with `uegr_ref`.

const uegr = (() => {
  const sum = (xs) => xs.reduce((total, x) => total + x, 0);
  const mean = (xs) => sum(xs) / xs.length;
  const sigmoid = (x) => {
    const e = Math.exp(-Math.abs(x));
    return x >= 0 ? 1 / (1 + e) : e / (1 + e);
  };
  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

  // --- Eq. 8 and 9: ranks, keep probability, what is kept on average and what that costs
  const midRanks = (xs) =>
    xs.map((x) => xs.filter((y) => y < x).length + (xs.filter((y) => y === x).length - 1) / 2);

  function rankNormalise(saliency) {
    const others = saliency.filter((s) => s > 0);
    const ranks = midRanks(others);
    let next = 0;
    return saliency.map((s) => (s > 0 ? (others.length > 1 ? ranks[next++] / (others.length - 1) : 0.5) : 0));
  }

  const keepProbability = (s, a, b) => sigmoid(2 * b * (s - a));
  const meanKeep = (a, b) => (softplus(2 * b * (1 - a)) - softplus(-2 * b * a)) / (2 * b);
  const meanInverseKeep = (a, b) => 1 + (Math.exp(2 * b * a) - Math.exp(-2 * b * (1 - a))) / (2 * b);

  // --- chance, the same at every visit: a small generator with a seed (mulberry32)
  function generator(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  const bernoulliMask = (p, random) => p.map((p_i) => random() < p_i);

  // --- Theorem 1: steps along a constant gradient g under drawn masks, and what they should settle on
  const BETA1 = 0.9, BETA2 = 0.999, EPSILON = 1e-8;

  const startOfSteps = (n) => ({
    draws: 0, sums: Array(n).fill(0), squares: Array(n).fill(0),
    first: Array(n).fill(0), second: Array(n).fill(0),
  });

  // rule: "sgd"; "adam", the mask on the gradient; "adam_update", the mask on Adam's own step
  function drawStep(state, g, p, mask, rule, rescale) {
    const t = state.draws + 1;
    g.forEach((g_i, i) => {
      const factor = mask[i] ? (rescale ? 1 / p[i] : 1) : 0;
      let step = factor * g_i;
      if (rule !== "sgd") {
        const handed = rule === "adam" ? factor * g_i : g_i;
        state.first[i] = BETA1 * state.first[i] + (1 - BETA1) * handed;
        state.second[i] = BETA2 * state.second[i] + (1 - BETA2) * handed * handed;
        const size = Math.sqrt(state.second[i] / (1 - BETA2 ** t)) + EPSILON;
        step = state.first[i] / (1 - BETA1 ** t) / size;
        if (rule === "adam_update") step *= factor;
      }
      state.sums[i] += step;
      state.squares[i] += step * step;
    });
    state.draws = t;
  }

  const meansOf = (state) => state.sums.map((s) => (state.draws ? s / state.draws : 0));
  const variancesOf = (state) =>
    state.squares.map((q, i) => (state.draws ? q / state.draws - (state.sums[i] / state.draws) ** 2 : 0));

  const unmaskedStep = (g, rule) => g.map((g_i) => (rule === "sgd" ? g_i : Math.sign(g_i)));
  // What the mean of the steps tends to, as a share of the step without a mask.
  const shareOfStep = (p, rule, rescale) => (rule === "adam" ? Math.sqrt(p) : rescale ? 1 : p);
  function varianceOfStep(step, p, rule, rescale) {
    if (rule === "adam") return NaN;
    return (rescale ? (1 - p) / p : p * (1 - p)) * step * step;
  }

  // --- adaptive dropout: rates proportional to norms^gamma between bounds, with the prescribed mean
  function dropRates(norms, baseRate, gamma, low, high) {
    const largest = Math.max(...norms);
    if (gamma === 0 || largest === 0) return norms.map(() => baseRate);
    const a = norms.map((n) => (n / largest) ** gamma);
    const clipped = (c) => a.map((x) => Math.min(Math.max(c * x, low), high));
    const zeros = a.filter((x) => x === 0).length;
    const most = (a.length - zeros) * high;
    if (most + zeros * low <= baseRate * a.length) {
      const rest = (baseRate * a.length - most) / Math.max(zeros, 1);
      return a.map((x) => (x > 0 ? high : Math.min(rest, high)));
    }
    let left = -60, right = 60; // ln c
    for (let i = 0; i < 200; i++) {
      const middle = (left + right) / 2;
      if (mean(clipped(Math.exp(middle))) < baseRate) left = middle;
      else right = middle;
    }
    return clipped(Math.exp((left + right) / 2));
  }

  // --- Eq. 2 to 6 on one text of two words, each a single number, and two classes
  function logSoftmax(z) {
    const top = Math.max(...z);
    const log = Math.log(sum(z.map((x) => Math.exp(x - top))));
    return z.map((x) => x - top - log);
  }

  function js(logits) {
    const logP = logits.map(logSoftmax);
    const logM = logP[0].map((_, c) => {
      const column = logP.map((row) => row[c]);
      const top = Math.max(...column);
      return top + Math.log(mean(column.map((x) => Math.exp(x - top))));
    });
    return mean(logP.map((row) => sum(row.map((x, c) => Math.exp(x) * (x - logM[c])))));
  }

  const TOY = {
    hiddenWeight: [[1.1, -0.5, 0.4], [0.3, 0.9, -0.8]],
    hiddenBias: [0.1, -0.3, 0.2],
    outputWeight: [[1.3, -0.9], [-0.9, 1.2], [0.6, -0.8]],
    outputBias: [0.1, -0.1],
    rate: 0.3,
  };

  const hiddenOf = (x) =>
    TOY.hiddenBias.map((b, h) => Math.tanh(x[0] * TOY.hiddenWeight[0][h] + x[1] * TOY.hiddenWeight[1][h] + b));

  // keep: which of the three hidden units a sub-model keeps; null, no dropout
  function logitsOf(x, keep) {
    const hidden = hiddenOf(x).map((h, u) => (keep ? (keep[u] ? h / (1 - TOY.rate) : 0) : h));
    return TOY.outputBias.map((b, c) => b + sum(hidden.map((h, u) => h * TOY.outputWeight[u][c])));
  }

  const lossOf = (x, label, keep) => -logSoftmax(logitsOf(x, keep))[label];

  function gradientOf(x, label, keep) {
    const g = logSoftmax(logitsOf(x, keep)).map((l, c) => Math.exp(l) - (c === label ? 1 : 0));
    const hidden = hiddenOf(x);
    const gHidden = hidden.map((h, u) => {
      const factor = keep ? (keep[u] ? 1 / (1 - TOY.rate) : 0) : 1;
      return (1 - h * h) * factor * sum(g.map((g_c, c) => g_c * TOY.outputWeight[u][c]));
    });
    return [0, 1].map((i) => sum(gHidden.map((g_u, u) => g_u * TOY.hiddenWeight[i][u])));
  }

  function perturbation(gradient, epsilon, attack) {
    if (attack === "fgsm") return gradient.map((g) => epsilon * Math.sign(g));
    const length = Math.hypot(...gradient);
    return gradient.map((g) => (length ? (epsilon * g) / length : 0));
  }

  // --- Algorithm 1 in shapes
  const SIZES = { B: 4, T: 5, D: 4, H: 5, C: 3, V: 12 };
  const parametersOf = (s) => s.V * s.D + s.D * s.H + s.H + s.H * s.C + s.C;
  // Forward and backward passes through the model done by the end of each line of Algorithm 1, with K passes.
  function passesAfter(line, k) {
    return { forward: line < 3 ? 0 : line < 6 ? 1 : 1 + k, backward: line < 4 ? 0 : line < 9 ? 1 : 1 + k };
  }

  return {
    mean, sum, midRanks, rankNormalise, keepProbability, meanKeep, meanInverseKeep, generator, bernoulliMask,
    startOfSteps, drawStep, meansOf, variancesOf, unmaskedStep, shareOfStep, varianceOfStep, dropRates,
    logSoftmax, js, TOY, logitsOf, lossOf, gradientOf, perturbation, SIZES, parametersOf, passesAfter,
  };
})();

if (typeof module !== "undefined") module.exports = uegr;
