// The plots of a batch: completions over time and the distribution of durations, each also as a table.
import { element, fill, say, table } from "./dom.js";
import { count, counted, duration, hour } from "./format.js";
import { colour } from "./theme.js";

const HEIGHT = 190;
/** A time such as 00:54:10 is 58 pixels wide. */
const TIME_WIDTH = 75;
/** A bar's name such as "≤ 30 min" takes this many pixels. */
const NAME_WIDTH = 58;
const AXIS_WIDTH = 62;

function axis(values) {
  return {
    stroke: () => colour("fg-muted"),
    grid: { stroke: () => colour("border"), width: 1 },
    ticks: { stroke: () => colour("border"), width: 1 },
    font: "12px sans-serif",
    ...(values ? { values } : {}),
  };
}

/** A figure with a plot, a sentence that says what it shows, and its numbers as a table. */
class Figure {
  constructor(node, title) {
    this.plot = null;
    this.drawn = null;
    this.canvas = element("div", { class: "chart", role: "img" });
    this.sentence = element("p", { class: "muted" });
    this.numbers = element("div");
    node.append(
      element("figure", {}, element("figcaption", {}, title), this.canvas, this.sentence),
      element("details", {}, element("summary", {}, "The numbers as a table"), this.numbers),
    );
    new ResizeObserver(() => this.#resize()).observe(this.canvas);
  }

  draw(options, data, sentence, numbers) {
    say(this.sentence, sentence);
    this.canvas.setAttribute("aria-label", sentence);
    fill(this.numbers, numbers);
    this.drawn = { options, data };
    // uPlot changes its data in place, but not its options.
    if (this.plot !== null && this.plot.shape === options.shape) this.plot.setData(data);
    else this.redraw();
  }

  redraw() {
    if (this.drawn === null || globalThis.uPlot === undefined) return;
    this.plot?.destroy();
    const { options, data } = this.drawn;
    const width = Math.max(this.canvas.clientWidth, 200);
    this.plot = new globalThis.uPlot({ width, height: HEIGHT, ...options }, data, this.canvas);
    this.plot.shape = options.shape;
  }

  #resize() {
    const width = this.canvas.clientWidth;
    if (this.plot !== null && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }
}

export class Charts {
  constructor(completions, durations) {
    this.completions = new Figure(completions, "Runs that have ended, over time");
    this.durations = new Figure(durations, "How long runs took until they were seen to end");
  }

  redraw() {
    this.completions.redraw();
    this.durations.redraw();
  }

  draw(report) {
    this.#drawCompletions(report.completions ?? {});
    this.#drawDurations(report.durations ?? {});
  }

  #drawCompletions({ start = 0, step = 1, succeeded = [], failed = [] }) {
    const length = Math.max(succeeded.length, failed.length);
    const times = Array.from({ length }, (_, index) => start + index * step);
    const sums = (counts) => {
      let sum = 0;
      return times.map((_, index) => (sum += counts[index] ?? 0));
    };
    const good = sums(succeeded);
    const bad = sums(failed);
    // A line through so few is hardly seen.
    const isShort = length < 3;
    const line = (label, name) => ({ label, stroke: () => colour(name), width: 2, points: { show: isShort } });
    const options = {
      shape: isShort ? "completions as points" : "completions",
      legend: { show: true, live: false },
      cursor: { show: false },
      axes: [{ ...axis((_, splits) => splits.map(hour)), space: TIME_WIDTH }, { ...axis((_, splits) => splits.map((value) => Number.isInteger(value) ? count(value) : "")), size: AXIS_WIDTH }],
      scales: { x: { time: false }, y: { range: (_, low, high) => [0, 1.05 * Math.max(high ?? 1, 1)] } },
      series: [{ label: "time" }, line("succeeded", "succeeded"), { ...line("failed", "failed"), dash: [6, 4] }],
    };
    const sentence = length === 0
      ? "No run has ended yet."
      : `Between ${hour(times[0])} and ${hour(times[length - 1] + step)}, ${count(good.at(-1))} have succeeded and ${count(bad.at(-1))} have failed.`;
    const rows = times
      .map((at, index) => [at, succeeded[index] ?? 0, failed[index] ?? 0])
      .filter(([, first, second]) => first || second)
      .map(([at, first, second]) => element("tr", {},
        element("td", {}, hour(at)),
        element("td", { class: "number" }, count(first)),
        element("td", { class: "number" }, count(second))));
    this.completions.draw(options, [times, good, bad], sentence, table(
      `Runs that have ended, in each ${duration(step)}`,
      [{ name: "from" }, { name: "succeeded", number: true }, { name: "failed", number: true }], rows));
  }

  #drawDurations({ bounds = [], counts = [], median = null, p95 = null }) {
    const first = counts.findIndex((number) => number > 0);
    const last = counts.findLastIndex((number) => number > 0);
    const shown = first < 0 ? [] : counts.slice(first, last + 1);
    const names = shown.map((_, index) => {
      const place = first + index;
      return place < bounds.length ? `≤ ${duration(bounds[place])}` : `> ${duration(bounds.at(-1))}`;
    });
    const places = shown.map((_, index) => index);
    // In a narrow window every second bar is named, or fewer, the last of them always.
    const isNamed = (width, place) => {
      const each = Math.ceil((shown.length * NAME_WIDTH) / Math.max(width - AXIS_WIDTH, NAME_WIDTH));
      return (shown.length - 1 - place) % each === 0;
    };
    const options = {
      shape: `durations ${names.join()}`,
      legend: { show: false },
      cursor: { show: false },
      axes: [
        { ...axis((plot, splits) => splits.map((value) => (isNamed(plot.width, value) ? names[value] ?? "" : ""))),
          splits: () => places, grid: { show: false } },
        { ...axis((_, splits) => splits.map((value) => Number.isInteger(value) ? count(value) : "")), size: AXIS_WIDTH },
      ],
      scales: {
        x: { time: false, range: () => [-0.6, Math.max(shown.length, 1) - 0.4] },
        y: { range: (_, low, high) => [0, 1.05 * Math.max(high ?? 1, 1)] },
      },
      series: [{}, {
        label: "runs", fill: () => colour("running"), stroke: () => colour("running"),
        paths: globalThis.uPlot?.paths.bars({ size: [0.7, 60] }), points: { show: false },
      }],
    };
    const total = counts.reduce((sum, number) => sum + number, 0);
    const sentence = total === 0
      ? "No run has ended yet."
      : `Half of the ${counted(total, "run")} were seen to end within ${duration(median)}, 95 % within ${duration(p95)}: an end is seen only while the batch waits.`;
    const rows = shown.map((number, index) => element("tr", {},
      element("td", {}, names[index]), element("td", { class: "number" }, count(number))));
    this.durations.draw(options, [places, shown], sentence, table(
      "Runs by how long they took until they were seen to end", [{ name: "duration" }, { name: "runs", number: true }], rows));
  }
}
